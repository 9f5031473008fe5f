"""Files that are whole or not there: written under a temporary name, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spectm.errors import OutputError

__all__ = ["replacing", "reserve", "write_bytes", "write_json", "write_text"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary path to write to; it takes the place of `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        What is made or replaced, at once; its folder is made where missing. After an error it is as it was.

    Raises
    ------
    OutputError
        If `path` is a folder, in which case nothing has been written, or HDF5 could not write all of it.
    """
    if path.is_dir():
        raise OutputError(f"wanted a file to write, found a folder at {path}. Give the name of a file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except RuntimeError as error:
        if "file write failed" not in str(error):  # HDF5's way to tell of a full disk
            raise
        raise OutputError(f"wanted to write {path}, found: {error}. Make room on the disk.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Make or replace a text file, UTF-8; see `replacing`."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Make or replace a file; see `replacing`."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Make or replace a JSON file of plain values, one a line; see `replacing`."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def reserve(path: Path, n_bytes: int) -> None:
    """Refuse a file that the disk has no room for, before anything is written into it.

    HDF5 can't cope with a disk that fills up under it: it may break the whole process off.

    Parameters
    ----------
    path : Path
        The temporary file; it is as large as wanted, and without content, after that.
    n_bytes : int
        What it will take, rather more than less.

    Raises
    ------
    OutputError
        If there is too little room, or a limit to the size of files.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # not on a Mac
                os.posix_fallocate(file.fileno(), 0, n_bytes)
    except OSError as error:
        free = shutil.disk_usage(path.parent).free
        raise OutputError(
            f"wanted {n_bytes:,} bytes in {path.parent}, found {error.strerror} ({free:,} bytes free). Make "
            "room, or write to another disk."
        ) from error
