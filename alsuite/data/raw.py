"""Raw files as their authors publish them: downloaded once, or put there by the user.

A file that is there counts as right, wherever it comes from; a downloaded one gets its name only when its checksum is
right. What fails for reasons of the network, the disk or the file itself becomes one line that says what to do.
"""

import errno
import shutil
import socket
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alsuite.errors import MissingDataError, UserError, first_line
from alsuite.files import sync, written_whole
from alsuite.progress import watched

__all__ = ["fetch", "fetch_tree", "parse"]

Content = TypeVar("Content")
DATA: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 brought it


def fetch(raw: Path, file: str, md5: str, url: str) -> Path:
    """Return the file in `raw`, downloaded unless it is there already; who must fetch it themselves is told where from.

    md5: the checksum of what is downloaded
    """
    path = raw / file
    if path.is_file():
        return path
    try:
        download(url, path, md5)
    except Exception as error:  # gdown's are of no common kind
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        where = f"put it at {path}, it comes from {url}"
        raise MissingDataError(f"cannot download {file} ({first_line(error)}): {where}") from error
    return path


def download(url: str, path: Path, md5: str) -> None:
    """Download a file; one that is torn, or has another checksum, leaves nothing behind."""
    from torchvision.datasets.utils import download_url

    with timeout(30), written_whole(path) as part:
        download_url(url, part.parent, part.name, md5)


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Let no connection within the block wait longer than so many seconds for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def parse(read: Callable[[Path], Content], path: Path) -> Content:
    """Return what `read` makes of the file; whatever it raises means that the file is damaged."""
    try:
        return read(path)
    except Exception as error:
        raise UserError(f"{path} is damaged ({error}): delete it and start again") from error


def fetch_tree(raw: Path, tree: str, file: str, md5: str, url: str) -> Path:
    """Return the folder `tree` in `raw`, unpacked from the archive `file` unless it is there already.

    md5, url: of the archive, as in `fetch`
    """
    if not (raw / tree).is_dir():
        unpack(fetch(raw, file, md5, url), raw / tree)
    return raw / tree


def unpack(archive: Path, tree: Path) -> None:
    """Unpack an archive that holds a folder of the tree's name; only a whole tree gets its name."""
    scratch = tree.with_name(f".{tree.name}.unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        extract(archive, scratch)
        if not (scratch / tree.name).is_dir():
            raise UserError(f"{archive} holds no folder {tree.name}: replace it by the original archive")
        for written in (scratch / tree.name).rglob("*"):
            sync(written)
        (scratch / tree.name).rename(tree)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{archive} is damaged ({error}): delete it and start again") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def extract(archive: Path, into: Path) -> None:
    """Unpack a zip or tar file; no member of it can land outside the folder."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as source:
            for member in watched(source.infolist(), f"unpack {archive.name}", len(source.infolist())):
                source.extract(member, into)
    else:
        with tarfile.open(archive) as source:
            for member in watched(source, f"unpack {archive.name}"):
                source.extract(member, into, **DATA)
