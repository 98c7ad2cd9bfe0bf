"""The journal alone: what it writes, what it drops, what it refuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alsuite.command.around import set_aside
from alsuite.errors import UserError
from alsuite.journal import Journal
from alsuite.recorded import about_of, changed, ended_as
from alsuite.results import load_runs
from alsuite.results.kept import facts_of
from helpers import REPOSITORY
from helpers.journals import write_run

ABOUT: dict[str, Any] = {
    "config": {"seed": 0, "task_model": {"lr": 0.001, "milestones": [0.5, 0.9]}},
    "commit": "0" * 40,
    "code": {"alsuite.loop": "1", "alsuite.scores": "2", "mine": "3"},
    "data": "abc",
}
HOLDER = """
import sys, time
from pathlib import Path
from alsuite.errors import UserError
from alsuite.journal import Journal
try:
    journal = Journal(Path(sys.argv[1]))
except UserError as error:
    print(error, flush=True)
else:
    print("held", flush=True)
    time.sleep(600)
"""


def record(cycle: int, last: bool = False) -> dict[str, Any]:
    queried = {
        "indices": [3 * cycle, 3 * cycle + 1],
        "labels": [1, 0],
        "scores": [0.1 + 0.2, 1e-300],
        "notes": {"ü": 1},
    }
    told = {"cycle": cycle, "labelled": 10 + 2 * cycle, "metrics": {}, "fit_seconds": 0.0, "query_seconds": 0.0}
    return {**told, "queried": None if last else queried}


def written(folder: Path, cycles: int, ended: bool = False) -> bytes:
    journal = Journal(folder)
    journal.start(ABOUT)
    for cycle in range(cycles):
        journal.append(record(cycle, last=ended and cycle == cycles - 1))
    journal.close()
    return journal.path.read_bytes() if cycles else b""


def reopened(folder: Path) -> list[dict[str, Any]]:
    journal = Journal(folder)
    journal.close()
    return journal.records


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the journal open."""
    process = opened_elsewhere(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def opened_elsewhere(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    lines = written(tmp_path / "a" / "b", 3).splitlines()
    assert [json.loads(line) for line in lines] == [record(0), record(1), record(2)]
    assert reopened(tmp_path / "a" / "b") == [record(0), record(1), record(2)]


def test_a_new_journal_is_empty_and_unfinished(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.records == []
    assert not journal.finished
    journal.close()


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    whole = written(tmp_path, 3)
    path, last = tmp_path / "cycles.jsonl", whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for size in range(last, len(whole)):
        path.write_bytes(whole[:size])
        journal = Journal(tmp_path)
        assert journal.records == [record(0), record(1)], size
        assert path.read_bytes() == whole[:last], size
        journal.append(record(2))
        journal.close()
        assert path.read_bytes() == whole, size


def test_a_first_line_torn_anywhere_leaves_an_empty_journal(tmp_path: Path) -> None:
    whole = written(tmp_path, 1)
    for size in range(len(whole)):
        tmp_path.mkdir(exist_ok=True)
        (tmp_path / "cycles.jsonl").write_bytes(whole[:size])
        assert reopened(tmp_path) == []


@pytest.mark.parametrize("rest", [b"\0" * 40, b"\xff\xfe{", b'{"cycle": 2}\0\n', b"\n"])
def test_rubbish_after_the_last_line_is_dropped(tmp_path: Path, rest: bytes) -> None:
    whole = written(tmp_path, 2)
    (tmp_path / "cycles.jsonl").write_bytes(whole + rest)
    assert reopened(tmp_path) == [record(0), record(1)]
    assert (tmp_path / "cycles.jsonl").read_bytes() == whole


@pytest.mark.parametrize("position", [0, 5, 60])
def test_damage_before_the_last_line_is_refused_in_one_line(tmp_path: Path, position: int) -> None:
    whole = bytearray(written(tmp_path, 3))
    whole[position] = 0
    (tmp_path / "cycles.jsonl").write_bytes(whole)
    with pytest.raises(UserError, match=r"^.*cycles\.jsonl, line 1 is no record of a cycle: undo .*$") as raised:
        Journal(tmp_path)
    assert "\n" not in str(raised.value)
    assert (tmp_path / "cycles.jsonl").read_bytes() == whole


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(UserError, match=r"^another process runs in .*: wait for it"):
        Journal(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert reopened(tmp_path) == []


def test_this_process_keeps_a_second_one_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    out, _ = opened_elsewhere(tmp_path).communicate()
    assert out.startswith("another process runs in")
    journal.close()


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"seed": 1, "task_model": {"lr": 0.001, "milestones": [0.5, 0.9]}}, "seed"),
        ({"seed": 0, "task_model": {"lr": 0.002, "milestones": [0.5, 0.9]}}, "task_model.lr"),
        ({"seed": 0, "task_model": {"lr": 0.001, "milestones": [0.5]}}, "task_model.milestones"),
        ({"seed": 0, "task_model": {"milestones": [0.5, 0.9]}}, "task_model.lr"),
        ({"seed": 0, "task_model": {"lr": 0.001, "milestones": [0.5, 0.9], "batch": 5}}, "task_model.batch"),
    ],
)
def test_going_on_with_another_configuration_is_refused(tmp_path: Path, config: dict[str, Any], key: str) -> None:
    written(tmp_path, 2)
    journal = Journal(tmp_path)
    with pytest.raises(UserError, match=rf"holds another run \(made with another {key}\): again=true runs it anew"):
        journal.start({**ABOUT, "config": config})
    journal.close()


def test_going_on_keeps_what_the_run_was_started_with(tmp_path: Path) -> None:
    written(tmp_path, 2)
    before = (tmp_path / "run.json").read_bytes()
    journal = Journal(tmp_path)
    journal.start({**ABOUT, "config": {**ABOUT["config"], "seed": 0}})
    journal.close()
    assert (tmp_path / "run.json").read_bytes() == before


def test_where_another_machine_went_on_is_written_down(tmp_path: Path) -> None:
    told = []
    for device in ("H100", "cpu", "cpu", "H100"):
        journal = Journal(tmp_path)
        journal.start({**ABOUT, "pool": 10, "versions": {}, "device": device})
        journal.append(record(len(journal.records)))
        journal.close()
        told.append(json.loads((tmp_path / "run.json").read_text()))
    moved = [
        {"cycle": cycle, "commit": "0" * 40, "versions": {}, "device": device}
        for cycle, device in ((1, "cpu"), (3, "H100"))
    ]
    assert [about.get("went_on") for about in told] == [None, moved[:1], moved[:1], moved]
    assert {about["device"] for about in told} == {"H100"}
    assert facts_of(pd.DataFrame({"folder": [tmp_path]}), "make toy", "smoke")["device"] == "H100, cpu"


def test_where_other_processes_or_commits_went_on_is_written_down(tmp_path: Path) -> None:
    made = ({"processes": 2}, {}, {"own_commits": {"mine": "1"}}, {"own_commits": {"mine": "1"}})
    for more in made:
        journal = Journal(tmp_path)
        journal.start({**ABOUT, **more})
        journal.append(record(len(journal.records)))
        journal.close()
    told = json.loads((tmp_path / "run.json").read_text())
    commit = {"commit": "0" * 40}
    assert told["went_on"] == [{"cycle": 1, **commit}, {"cycle": 2, **commit, "own_commits": {"mine": "1"}}]


def test_a_run_without_a_finished_cycle_may_be_configured_anew(tmp_path: Path) -> None:
    written(tmp_path, 0)
    journal = Journal(tmp_path)
    journal.start({**ABOUT, "config": {"seed": 4}})
    journal.start({**ABOUT, "config": {"seed": 5}})
    assert json.loads((tmp_path / "run.json").read_text())["config"] == {"seed": 5}
    journal.close()


@pytest.mark.parametrize("content", [None, "", '{"config": {"se'])
def test_a_run_whose_description_is_lost_ends_in_one_line(tmp_path: Path, content: str | None) -> None:
    written(tmp_path, 2, ended=True)
    (tmp_path / "run.json").unlink()
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert not ended_as(tmp_path, {"config": ABOUT["config"]})
    journal = Journal(tmp_path)
    try:
        with pytest.raises(UserError, match=r"^.*run\.json.*$"):
            journal.start(ABOUT)
    finally:
        journal.close()


def test_a_finished_run_is_known_as_such(tmp_path: Path) -> None:
    config = ABOUT["config"]
    whole = written(tmp_path, 2, ended=True)
    journal = Journal(tmp_path)
    assert journal.finished
    assert ended_as(tmp_path, {"config": config})
    assert not ended_as(tmp_path, {"config": {**config, "seed": 1}})
    journal.close()
    (tmp_path / "cycles.jsonl").write_bytes(whole[:-1])
    assert not ended_as(tmp_path, {"config": config})
    assert not ended_as(tmp_path / "elsewhere", {"config": config})


OTHER_CODE: list[tuple[dict[str, str], str]] = [
    ({"alsuite.scores": "5"}, "alsuite.scores changed since"),
    ({"alsuite.scores": "5", "mine": "5"}, "alsuite.scores and mine changed since"),
    ({"alsuite.scores": "5", "mine": "5", "a": "5"}, "alsuite.scores, mine and a changed since"),
    (
        {"alsuite.loop": "5", "mine": "5", "a": "5", "b": "5", "c": "5"},
        "alsuite.loop, mine, a and 2 more changed since",
    ),
]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(("code", "reason"), OTHER_CODE)
def test_going_on_with_other_code_is_refused_in_a_line_that_names_it(
    tmp_path: Path, code: dict[str, str], reason: str, ended: bool
) -> None:
    written(tmp_path, 2, ended)
    now, journal = {**ABOUT["code"], **code}, Journal(tmp_path)
    with pytest.raises(UserError) as raised:
        journal.start({**ABOUT, "code": now})
    journal.close()
    line = f"{tmp_path} holds another run ({reason}): again=true runs it anew and keeps the old one beside it"
    assert str(raised.value) == line
    assert changed(tmp_path, {**ABOUT, "code": now}).what == reason
    assert not ended_as(tmp_path, {**ABOUT, "code": now})


def test_a_module_that_a_run_no_longer_has_counts_as_changed(tmp_path: Path) -> None:
    written(tmp_path, 1)
    assert (
        changed(tmp_path, {**ABOUT, "code": {"alsuite.loop": "1", "mine": "3"}}).what == "alsuite.scores changed since"
    )


def test_going_on_with_other_data_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 2)
    for data in ("abd", "made up"):
        journal = Journal(tmp_path)
        with pytest.raises(UserError, match=r"\(the data changed since\): again=true"):
            journal.start({**ABOUT, "data": data})
        journal.close()


@pytest.mark.parametrize(("before", "now"), [("abc", ""), ("", "abc"), ("", "")])
def test_a_hash_that_is_not_known_is_not_compared(tmp_path: Path, before: str, now: str) -> None:
    journal = Journal(tmp_path)
    journal.start({**ABOUT, "data": before})
    journal.append(record(0, last=True))
    journal.start({**ABOUT, "data": now})
    journal.close()
    assert changed(tmp_path, {**ABOUT, "data": now}).what == ""
    assert ended_as(tmp_path, {**ABOUT, "data": now})


def test_a_run_is_compared_as_far_as_its_data_is_here(tmp_path: Path) -> None:
    whole = written(tmp_path, 2, ended=True)
    assert changed(tmp_path, ABOUT).what == ""
    assert changed(tmp_path, {**ABOUT, "data": "abd"}).what == "the data changed since"
    assert changed(tmp_path, {**ABOUT, "data": ""}).what == ""
    assert changed(tmp_path, {**ABOUT, "config": {**ABOUT["config"], "seed": 1}}).what == "made with another seed"
    assert changed(tmp_path / "elsewhere", {**ABOUT, "code": {}, "data": "abd"}).what == ""
    assert ended_as(tmp_path, ABOUT)
    assert not ended_as(tmp_path, {**ABOUT, "data": "abd"})
    (tmp_path / "cycles.jsonl").write_bytes(whole[:20])
    assert changed(tmp_path, {**ABOUT, "code": {}, "data": "abd"}).what == "", (
        "without a finished cycle there is nothing to keep"
    )


def test_a_run_from_before_the_code_was_recorded_is_not_gone_on_with(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.start({"config": ABOUT["config"]})
    journal.append(record(0, last=True))
    with pytest.raises(UserError, match=r"\(made before the code was recorded\): again=true"):
        journal.start(ABOUT)
    journal.start({"config": ABOUT["config"]})
    journal.close()
    assert changed(tmp_path, ABOUT).what == "made before the code was recorded"


def test_a_run_is_set_aside_beside_others(tmp_path: Path) -> None:
    run = tmp_path / "seed=1"
    for i in (1, 2):
        whole = written(run, i)
        assert set_aside([run, run]) == [tmp_path / f"seed=1~{i}"]  # for a sweeper may ask twice
        assert (tmp_path / f"seed=1~{i}" / "cycles.jsonl").read_bytes() == whole
        assert not run.exists()
    assert not [*tmp_path.rglob("lock")]


def test_what_has_been_set_aside_by_another_command_is_not_made_again(tmp_path: Path) -> None:
    assert set_aside([tmp_path / "gone"]) == []
    assert [*tmp_path.iterdir()] == []


def test_a_run_whose_folder_was_replaced_leaves_the_new_one_alone(tmp_path: Path) -> None:
    old = Journal(tmp_path / "run")
    old.start(ABOUT)
    rmtree(tmp_path / "run")
    whole = written(tmp_path / "run", 2)
    new = Journal(tmp_path / "run")
    for end in (lambda: old.append(record(0)), lambda: old.ask(record(0))):
        with pytest.raises(UserError, match="was moved or deleted under this run"):
            end()
    old.close()
    assert (tmp_path / "run" / "cycles.jsonl").read_bytes() == whole
    with pytest.raises(UserError, match=r"^another process runs in"):
        Journal(tmp_path / "run")
    new.append(record(2))
    new.close()
    assert len(reopened(tmp_path / "run")) == 3


def test_a_run_that_another_process_holds_is_not_set_aside(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(UserError, match=r"^another process runs in"):
        set_aside([tmp_path])
    assert tmp_path.exists()


def test_of_several_runs_none_is_set_aside_where_another_process_holds_one(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    other = tmp_path.with_name(f"{tmp_path.name}-other")
    written(other, 1)
    with pytest.raises(UserError, match=r"^another process runs in"):
        set_aside([other, tmp_path])
    assert other.exists()
    assert not (other / "lock").exists()


def test_results_leave_out_what_was_set_aside(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, "random", seed, [0.5, 0.6])
    set_aside([tmp_path / "toy" / "smoke" / "seed=1,strategy=random"])
    assert set(load_runs("toy", root=tmp_path)["seed"]) == {0}


def test_a_run_without_a_record_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "adhoc" / "smoke" / "seed=1"
    for content in ("", '{"torn'):
        journal = Journal(folder)
        journal.start(ABOUT)
        journal.path.write_text(content)
        journal.close()
        assert [*tmp_path.rglob("*")] == [tmp_path / "outputs"]


def test_a_run_without_a_record_keeps_the_others_and_what_a_person_was_asked(tmp_path: Path) -> None:
    written(tmp_path / "toy" / "smoke" / "seed=1", 1)
    written(tmp_path / "toy" / "smoke" / "seed=2", 0)
    assert [path.name for path in (tmp_path / "toy" / "smoke").iterdir()] == ["seed=1"]
    folder = tmp_path / "toy" / "smoke" / "seed=3"
    journal = Journal(folder)
    journal.start(ABOUT)
    (folder / "queries").mkdir()
    journal.close()
    assert {path.name for path in folder.iterdir()} == {"queries", "run.json"}


def test_no_lock_stays_and_none_of_another_process_is_removed(tmp_path: Path) -> None:
    written(tmp_path, 1)
    assert not (tmp_path / "lock").exists()
    first = Journal(tmp_path)
    first.close()
    second = Journal(tmp_path)
    first.close()
    assert (tmp_path / "lock").exists()
    second.close()


def test_images_come_back_bit_by_bit(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 5)).astype(np.uint8)
    journal = Journal(tmp_path)
    journal.start(ABOUT)
    journal.append(record(0))
    journal.append(record(1), {"synthetic": images, "matched": images[:2]})
    journal.close()
    found = Journal(tmp_path).images(1)
    assert found["synthetic"].dtype == np.uint8
    np.testing.assert_array_equal(found["synthetic"], images)
    np.testing.assert_array_equal(found["matched"], images[:2])
    assert not (tmp_path / "images_cycle_0000.npz").exists()
    assert not [*tmp_path.glob("*part*")]


def test_images_are_there_before_their_cycle_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, content: bytes, mode: str) -> None:
        assert path.with_name("images_cycle_0000.npz").exists()
        raise KeyboardInterrupt

    journal = Journal(tmp_path)
    monkeypatch.setattr("alsuite.journal._synced", killed)
    with pytest.raises(KeyboardInterrupt):
        journal.append(record(0), {"synthetic": np.zeros((1, 1, 2, 2), np.uint8)})
    journal.close()
    assert reopened(tmp_path) == []


def test_a_journal_that_leads_elsewhere_is_refused_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one line")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "cycles.jsonl").symlink_to(tmp_path / "notes.txt")
    with pytest.raises(UserError, match=r"cycles\.jsonl is a link: put the file itself"):
        Journal(tmp_path / "run")
    assert (tmp_path / "notes.txt").read_text() == "one line"


def test_a_description_nested_beyond_all_measure_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[" * 100_000)
    assert about_of(tmp_path / "run.json") is None
