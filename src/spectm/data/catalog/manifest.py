"""What was fetched into a folder: ``manifest.json`` says where each file comes from and that it was whole."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import h5py

from spectm.data.catalog.holdings import named_product
from spectm.data.catalog.records import Found, scene
from spectm.errors import FetchError, GranuleError
from spectm.files import replacing

__all__ = ["MANIFEST", "Entry", "Manifest", "proven_entry", "read_manifest"]

MANIFEST = "manifest.json"
FORMAT, FORMAT_VERSION = "spectm-manifest", 1
BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file that was whole when it was fetched.

    Parameters
    ----------
    granule : str
        Its name, in the folder and in the catalogue.
    product, short_name, version, start, url
        As in `Found`.
    status : str
        "near-real-time" or "final".
    size_bytes : int
        Its size.
    sha256 : str
        Checksum of the file, computed here.
    archive_checksum : str
        The archive's own, such as "MD5:d41d8...", "" where it gives none.
    archive_checksum_compared : bool
        Whether the file has that checksum; False where there is none, or of a kind that Python has not.
    fetched : str
        When, ISO 8601, UTC.
    modified_ns : int
        The file's time stamp, nanoseconds: with it a second run need not read every file again.
    """

    granule: str
    product: str
    short_name: str
    version: str
    status: str
    start: str
    url: str
    size_bytes: int
    sha256: str
    archive_checksum: str
    archive_checksum_compared: bool
    fetched: str
    modified_ns: int


class Manifest:
    """The entries of a folder, written anew with every change.

    Parameters
    ----------
    folder : Path
        Where the files are.
    entries : iterable of Entry
        What is known so far.
    """

    def __init__(self, folder: Path, entries: Iterable[Entry] = ()) -> None:
        self.folder = folder
        self.entries = {entry.granule: entry for entry in entries}

    def holds(self, found: Found, *, verify: bool = False) -> bool:
        """True if a file is at hand, as the catalogue now describes it, and has not changed since.

        Parameters
        ----------
        found : Found
            What the catalogue says.
        verify : bool
            Compare checksums also of files whose size and time stamp are as they were.
        """
        entry, path = self.entries.get(found.name), self.folder / found.name
        if entry is None or not path.is_file():
            return False
        listed = _archive_checksum(found)
        if found.size_bytes not in (None, entry.size_bytes) or listed not in ("", entry.archive_checksum):
            return False  # made again under the same name
        now = path.stat()
        if now.st_size != entry.size_bytes:
            return False
        return (now.st_mtime_ns == entry.modified_ns and not verify) or _digests(path)[
            "SHA-256"
        ] == entry.sha256

    def record(self, entry: Entry) -> None:
        """Add or replace the entry of a file."""
        self.entries[entry.granule] = entry
        self._write()

    def note_times(self, names: Iterable[str]) -> None:
        """Take over the time stamps of files that were copied and found unchanged."""
        stamps = {name: (self.folder / name).stat().st_mtime_ns for name in names}
        changed = {name: ns for name, ns in stamps.items() if self.entries[name].modified_ns != ns}
        self.entries |= {name: replace(self.entries[name], modified_ns=ns) for name, ns in changed.items()}
        if changed:
            self._write()

    def drop_replaced(self, final: str) -> list[str]:
        """Remove the near-real-time twins of a final file that is recorded; their names."""
        if self.entries[final].status != "final":
            return []
        twins = [
            entry.granule
            for entry in self.entries.values()
            if entry.status == "near-real-time" and scene(entry.granule) == scene(final)
        ]
        for name in twins:
            (self.folder / name).unlink(missing_ok=True)
            del self.entries[name]
        if twins:
            self._write()
        return twins

    def _write(self) -> None:
        granules = [asdict(self.entries[name]) for name in sorted(self.entries)]
        text = json.dumps(
            {"format": FORMAT, "format_version": FORMAT_VERSION, "granules": granules}, indent=1
        )
        path = self.folder / MANIFEST
        try:
            with replacing(path) as unfinished:
                unfinished.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise FetchError(
                f"wanted to write {path}, found {error.strerror or error}. Make room or see to the folder's "
                "permissions; the same command continues."
            ) from error


def read_manifest(folder: Path) -> Manifest:
    """Manifest of a folder; an empty one where there is none.

    Raises
    ------
    FetchError
        If the file is damaged or of another format.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        return Manifest(Path(folder))
    wanted = {field.name for field in fields(Entry)}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_format(content["format"], content["format_version"], path)
        entries = [Entry(**{name: one[name] for name in wanted}) for one in content["granules"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, FetchError):
            raise
        raise FetchError(
            f"wanted a manifest of spectm fetch, could not read {path} ({type(error).__name__}: {error}). "
            "Move it away and fetch again: files that are whole are recorded anew and not fetched."
        ) from error
    return Manifest(Path(folder), entries)


def _check_format(name: object, version: object, path: Path) -> None:
    """Refuse another file of that name, or a later version: it may have entries that this one would lose."""
    if name != FORMAT or not isinstance(version, int) or version > FORMAT_VERSION:
        raise FetchError(
            f"wanted a manifest of the format {FORMAT} {FORMAT_VERSION} or older, found {name} {version} in "
            f"{path}. Use a newer spectm, or another folder."
        )


def proven_entry(path: Path, found: Found) -> Entry:
    """Entry of a file that is whole: of the catalogue's size and checksum, with the data that belong in it.

    Parameters
    ----------
    path : Path
        The file, which may still have a temporary name.
    found : Found
        What it should be.

    Raises
    ------
    GranuleError
        If it is not whole.
    """
    size = path.stat().st_size
    if found.size_bytes is not None and size != found.size_bytes:
        raise GranuleError(
            f"wanted {found.size_bytes:,} bytes of {found.name}, found {size:,}. Try again later: the "
            "archive may be replacing it."
        )
    algorithm = (found.checksum_algorithm or "").upper()
    digests = _digests(path, algorithm)
    compared = bool(found.checksum) and algorithm in digests
    if compared and digests[algorithm] != str(found.checksum).lower():
        raise GranuleError(
            f"wanted the {algorithm} checksum {found.checksum} of {found.name}, found {digests[algorithm]}. "
            "Try again later: the archive may be replacing it."
        )
    _check_contents(path, found)
    return Entry(
        granule=found.name,
        product=found.product,
        short_name=found.short_name,
        version=found.version,
        status="near-real-time" if found.near_real_time else "final",
        start=found.start,
        url=found.url,
        size_bytes=size,
        sha256=digests["SHA-256"],
        archive_checksum=_archive_checksum(found),
        archive_checksum_compared=compared,
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        modified_ns=path.stat().st_mtime_ns,
    )


def _check_contents(path: Path, found: Found) -> None:
    """Open the file as HDF5, which notices a lost end, and look for what every version of it has."""
    contains = named_product(found.product).contains
    try:
        with h5py.File(path, "r") as file:
            missing = [inside for inside in contains if inside not in file]
            held = list(file)
    except OSError as error:
        raise GranuleError(
            f"wanted a complete netCDF-4 file in {found.name}, could not open it: {error}. Try again later."
        ) from error
    if missing:
        raise GranuleError(
            f"wanted {', '.join(contains)} in {found.name}, found {held} without {', '.join(missing)}. Is it "
            f"of a version that came after this program? Try --version, or a newer spectm."
        )


def _archive_checksum(found: Found) -> str:
    return f"{found.checksum_algorithm}:{found.checksum}" if found.checksum else ""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def hexdigest(self) -> str: ...


class _Adler32:
    """Adler-32 in the form that `hashlib` has for others; the catalogue allows it."""

    def __init__(self) -> None:
        self._value = 1

    def update(self, data: bytes, /) -> None:
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


# Names as the catalogue spells them (UMM-G), in capitals.
_DIGESTS: Mapping[str, Any] = {
    "ADLER-32": _Adler32,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "SHA-1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


def _digests(path: Path, algorithm: str = "") -> dict[str, str]:
    """SHA-256 of a file and, if Python has it, one more, in one reading."""
    wanted: dict[str, _Digest] = {
        name: make() for name, make in _DIGESTS.items() if name in ("SHA-256", algorithm)
    }
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            for digest in wanted.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in wanted.items()}
