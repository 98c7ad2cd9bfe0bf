"""What ends a command in one line, and what keeps its traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate

from alsuite.command.complaints import complaining, one_line, plainly
from alsuite.errors import AwaitingLabels, UserError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:122] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        caused(HydraException("Error in call to target"), MemoryError("Unable to allocate 1 GiB for an array")),
    ],
)
def test_too_little_memory_is_told_with_what_to_do(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"), complaining():
        raise error
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "alsuite: there is too little memory: end other programs, or take a smaller task_model.batch"
    )


@pytest.mark.parametrize(
    "text",
    ["mat1 and mat2 shapes cannot be multiplied", "could not create a primitive descriptor for a convolution"],
)
def test_another_error_keeps_its_traceback(text: str) -> None:
    with pytest.raises(RuntimeError, match=text), complaining():
        raise RuntimeError(text)


def test_what_can_be_mended_is_told_to_another_process_in_its_line() -> None:
    with pytest.raises(UserError, match=r"^there is too little memory"), plainly():
        raise MemoryError
    with pytest.raises(AwaitingLabels, match=r"^4 labels$"), plainly():
        raise AwaitingLabels("4 labels")
    with pytest.raises(ZeroDivisionError), plainly():
        raise ZeroDivisionError


def test_ctrl_c_ends_a_command_in_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="130"), complaining():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped; the same command goes on after the last finished cycle\n"


def test_a_pipe_that_nobody_reads_is_passed_on() -> None:
    with pytest.raises(BrokenPipeError), complaining():
        raise BrokenPipeError("nobody reads")


def test_a_package_that_lacks_is_named_and_an_import_that_fails_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"), complaining():
        raise ModuleNotFoundError("No module named 'umap'")
    told = "alsuite: No module named 'umap': install it, or see that its folder is on PYTHONPATH\n"
    assert capsys.readouterr().err == told
    with pytest.raises(ImportError, match="partially initialized"), complaining():
        raise ImportError("cannot import name 'x' from partially initialized module")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("import notthere", "own_broken.Mine cannot be imported: ModuleNotFoundError: No module named 'notthere'"),
        ("class Mine(:", "own_broken.Mine cannot be imported: SyntaxError: invalid syntax (own_broken.py, line 1)"),
        ("from math import sinn", "own_broken.Mine cannot be imported: ImportError: cannot import name 'sinn'"),
        ("class Other: ...", "there is no own_broken.Mine to import: check its name, and that its folder is on"),
        (None, "there is no own_broken.Mine to import: check its name, and that its folder is on PYTHONPATH"),
    ],
)
def test_a_class_that_cannot_be_imported_is_told_with_its_cause(
    content: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_broken", raising=False)
    if content is not None:
        (tmp_path / "own_broken.py").write_text(content)
    with pytest.raises(InstantiationException) as caught:
        instantiate({"_target_": "own_broken.Mine"})
    assert one_line(caught.value).startswith(told)
