"""Granules at hand: what each says of itself, which of several twins is used, and whether they fit a task."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spectm.data.flags import flag_mask, flag_names, flags_of
from spectm.data.granule import open_granule
from spectm.data.headers import Header, damage_named, read_header
from spectm.data.regions import Region
from spectm.errors import EmptyRegionError, FlagError, GranuleError, SpectmError

__all__ = ["Inputs", "any_in_region", "check_flags", "granule_files", "take_stock"]

Kind = tuple[str, tuple[float, ...], str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Granules to be used, and why others are not.

    Parameters
    ----------
    headers : tuple of Header
        One for each granule, in the order of time.
    superseded : dict of str to str
        Twin that is left out -> the one used instead: final before near-real-time, later before earlier
        versions.
    bad : dict of str to str
        File -> what is wrong with it.
    spares : dict of str to Header
        File -> the twin that comes next after it, should it turn out damaged.
    """

    headers: tuple[Header, ...]
    superseded: dict[str, str]
    bad: dict[str, str]
    spares: dict[str, Header]


def granule_files(places: Iterable[Path]) -> list[Path]:
    """Files given, and all netCDF files of folders given, sorted by name.

    Raises
    ------
    GranuleError
        If a place is not there, or a folder holds no netCDF file.
    """
    files: list[Path] = []
    for place in places:
        found = sorted(place.rglob("*.nc")) if place.is_dir() else [place] if place.is_file() else []
        if not found:
            raise GranuleError(
                f"wanted granules (*.nc), found {'none in the folder' if place.is_dir() else 'nothing at'} "
                f"{place}. Fetch some first: spectm fetch --help."
            )
        files += found
    return sorted(dict.fromkeys(file.resolve() for file in files), key=lambda file: file.name)


def take_stock(paths: Sequence[Path], wavelength: Sequence[float] | None = None) -> Inputs:
    """Read what every file says of itself, and choose between twins.

    Parameters
    ----------
    paths : sequence of Path
        Files of the archive.
    wavelength : sequence of float, optional
        Bands wanted, nm; without it, those that most files have.
    """
    headers, bad = [], {}
    for path in paths:
        try:
            headers.append(read_header(path))
        except (GranuleError, OSError) as error:
            bad[path.name] = str(error)
    kinds = Counter(_kind(header) for header in headers)
    if wavelength is not None:
        kinds = Counter({kind: n for kind, n in kinds.items() if kind[1] == tuple(wavelength)} or kinds)
    for header in headers:
        wanted = kinds.most_common(1)[0][0]
        if _kind(header) != wanted:
            bad[header.path.name] = (
                f"wanted {_described(wanted)} as most files, found {_described(_kind(header))} in "
                f"{header.path}, version {header.attrs.get('processing_version')}. Compose it into a cube of "
                "its own, or fetch one version."
            )
    best: dict[tuple[np.datetime64, np.datetime64], Header] = {}
    superseded: dict[str, str] = {}
    spares: dict[str, Header] = {}
    for header in sorted((header for header in headers if header.path.name not in bad), key=_rank):
        key = (header.start.astype("datetime64[m]"), header.end.astype("datetime64[m]"))
        if key in best:
            superseded[best[key].path.name] = header.path.name
            spares[header.path.name] = best[key]
        best[key] = header
    kept = sorted(best.values(), key=lambda header: (header.start, header.path.name))
    return Inputs(headers=tuple(kept), superseded=superseded, bad=bad, spares=spares)


def check_flags(headers: Iterable[Header], names: str | Sequence[str]) -> None:
    """Refuse a flag that is misspelt before it costs every granule.

    Parameters
    ----------
    headers : iterable of Header
        Level-2 granules. The first that can be read is asked; damage is left to those who use the files.
    names : str or sequence of str
        As for `spectm.data.flags.flag_names`.

    Raises
    ------
    FlagError
        If the granules do not know a name.
    """
    for header in headers:
        try:
            with damage_named(header.path), open_granule(header.path) as granule:
                flag_mask(flags_of(granule).isel(line=slice(1), pixel=slice(1)), flag_names(names))
        except FlagError:
            raise
        except (SpectmError, OSError):
            continue
        return


def any_in_region(headers: Iterable[Header], region: Region) -> bool:
    """Whether any granule has a pixel in a region; one that can't be read may have.

    Parameters
    ----------
    headers : iterable of Header
        Granules or maps; they are opened one by one until the first that has.
    region : Region
        Where.
    """
    for header in headers:
        if header.box is not None and not header.box.meets(region):
            continue
        try:
            with open_granule(header.path, region=region):
                return True
        except EmptyRegionError:
            continue
        except (SpectmError, OSError):
            return True
    return False


def _kind(header: Header) -> Kind:
    """What files of one cube have in common: product, bands, and of maps the length of time and the size."""
    length = "" if header.product == "L2_AOP" else str(header.attrs.get("temporal_range", ""))
    return header.product, tuple(header.wavelength.tolist()), length, header.shape


def _described(kind: Kind) -> str:
    product, bands, length, shape = kind
    size = f", {shape[0]} x {shape[1]} cells" if len(shape) == 2 else ""
    second = f"{bands[1]:g}" if len(bands) > 1 else "none"
    name = f"{length} {product}".strip()
    return f"{name} with {len(bands)} bands ({bands[0]:g}, {second}, ... nm){size}"


def _rank(header: Header) -> tuple[Any, ...]:
    """Twins from the least to the most wanted."""
    version = [
        int(part) if part.isdigit() else 0 for part in str(header.attrs.get("processing_version")).split(".")
    ]
    return not header.attrs["near_real_time"], version, header.path.name
