import errno
import os
from pathlib import Path

import pytest

from spectm.errors import OutputError
from spectm.files import replacing, reserve, write_json, write_text


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    for text in ("first", "second"):
        with replacing(path) as unfinished:
            unfinished.write_text(text)
            assert not path.exists() or path.read_text() == "first"
    assert path.read_text() == "second"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_after_an_error_the_old_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "old"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(OutputError, match=r"wanted a file to write, found a folder at .*results"):
        replacing(tmp_path / "results").__enter__()
    assert list((tmp_path / "results").iterdir()) == []
    assert [file.name for file in tmp_path.iterdir()] == ["results"]


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "patches.nc"
    reserve(path, 5000)
    assert path.stat().st_size == 5000
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        OutputError, match=r"wanted 5,000 bytes in .*, found No space left on device \(.* free\)"
    ):
        reserve(path, 5000)
    monkeypatch.delattr(os, "posix_fallocate")  # as on a Mac
    reserve(path, 5000)


def test_what_hdf5_says_of_a_full_disk_is_an_error_of_ours(tmp_path: Path) -> None:
    def write(said: str) -> None:
        with replacing(tmp_path / "a.nc") as unfinished:
            unfinished.write_text("half")
            raise RuntimeError(said)

    with pytest.raises(
        OutputError, match=r"wanted to write .*a\.nc, found: Can't flush .* Make room on the disk"
    ):
        write("Can't flush (file write failed: errno = 28)")
    with pytest.raises(RuntimeError, match="ours"):
        write("ours")
    assert list(tmp_path.iterdir()) == []


def test_text_and_json_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"µ": [1.5, None]})
    assert path.read_text(encoding="utf-8") == '{\n "\\u00b5": [\n  1.5,\n  null\n ]\n}\n'
    write_text(path, "µg/L\n")
    assert path.read_bytes() == "µg/L\n".encode()
