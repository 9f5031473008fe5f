"""What a file holds, in words and numbers: the facts about it and the range of its variables."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spectm.data.cube import CubeLayout
from spectm.data.granule import read_variables
from spectm.data.headers import KINDS
from spectm.data.origin import is_simulated
from spectm.data.patches import Patches

__all__ = ["Contents", "cube_contents", "granule_contents", "holds_patches", "patches_contents"]

# One band for each part of the spectrum; those that a file lacks are left out.
_SHOWN_NM = (412.0, 443.0, 490.0, 555.0, 620.0, 665.0, 681.0, 709.0, 865.0, 1250.0, 2130.0)
_WITHIN_NM = 12.0


@dataclass(frozen=True, slots=True)
class Contents:
    """Facts about a file by name, and a table of its variables: variable, unit, valid, low, median, high.

    `valid` is the share of values that are there, `low` and `high` are the 1st and 99th percentile.
    """

    facts: dict[str, str]
    variables: pd.DataFrame


def granule_contents(granule: xr.Dataset) -> Contents:
    """Facts and ranges of an opened granule; of spectra, a dozen bands at most are read.

    Parameters
    ----------
    granule : Dataset
        From `spectm.data.granule.open_granule`, cropped or whole.

    Raises
    ------
    GranuleError
        If the file is damaged where the values lie.
    """
    said = granule.attrs
    size = " x ".join(
        f"{granule.sizes[dim]:,} {dim}" for dim in granule["lat"].dims + granule["lon"].dims[:1]
    )
    if granule["lat"].ndim == 2:
        size = f"{granule.sizes['line']:,} lines x {granule.sizes['pixel']:,} pixels"
    facts = {
        "file": str(said["file"]),
        "product": f"{said['product']}, version {said.get('processing_version', 'unknown')}",
        **_origin(is_simulated(said)),
        "named inside": str(said.get("product_name", "nothing")),
        "near real time": "yes" if said["near_real_time"] else "no",
        "from": str(said.get("time_coverage_start", "unknown")),
        "to": str(said.get("time_coverage_end", "unknown")),
        "size": size,
        "bands": _bands(granule["wavelength"].values),
        "latitude": _range(granule["lat"].values),
        "longitude": _range(granule["lon"].values, around=True),
    }
    if "l2_flag_names" in said:
        facts["left out before"] = str(said["l2_flag_names"]).replace(",", " ")
    rows = [
        (name, values.attrs.get("units", ""), *_spread(values.values)) for name, values in _variables(granule)
    ]
    return Contents(facts, _table(rows))


def patches_contents(patches: Patches, path: Path) -> Contents:
    """Facts and ranges of patches in memory.

    Parameters
    ----------
    patches : Patches
        From `spectm.data.patches.read_patches`.
    path : Path
        Their file, for the table.
    """
    days = np.unique(patches.time.astype("datetime64[D]"))
    stations = sorted(set(patches.station.tolist()) - {""})
    named = f"{len(stations)}: {', '.join(stations[:12])}{', ...' if len(stations) > 12 else ''}"
    facts = {
        "file": str(path),
        "product": "patches of reflectance",
        **_origin(patches.simulated),
        "source": patches.source,
        "patches": f"{patches.n_samples:,} of {patches.Rrs.shape[2]} x {patches.Rrs.shape[3]} pixels",
        "with a valid pixel": f"{int(patches.valid.any(axis=(1, 2)).sum()):,}",
        "dates": f"{days.size}, {days[0]} to {days[-1]}" if days.size else "none",
        "stations": named if stations else "none named",
        "bands": _bands(patches.wavelength),
        "latitude": _range(patches.latitude),
        "longitude": _range(patches.longitude, around=True),
    }
    rows = [
        (f"Rrs {patches.wavelength[band]:g} nm", "sr-1", *_spread(patches.Rrs[:, band]))
        for band in _shown_bands(patches.wavelength)
    ]
    return Contents(facts, _table(rows))


def cube_contents(cube: xr.Dataset, path: Path) -> Contents:
    """Facts and ranges of a cube: of reflectance, a dozen bands at most are read.

    Parameters
    ----------
    cube : Dataset
        From `spectm.data.cube.open_cube`.
    path : Path
        Its folder, for the table.
    """
    layout = CubeLayout.from_dict(cube.attrs["layout"])
    days = cube["time"].values.astype("datetime64[D]")
    filled = (cube["count"].values > 0).any(axis=(1, 2))
    pixels = [record["pixels"] for record in cube.attrs["periods"].values()]
    seen, used = (sum(counts[name] for counts in pixels) for name in ("seen", "used"))
    facts = {
        "file": str(path),
        "product": f"composites of {layout.product}, {layout.statistic} over {layout.days} days",
        **_origin(is_simulated(cube.attrs)),
        "periods": f"{days.size}, from {days[0]} to {days[-1]}" if days.size else "none",
        "with a pixel": f"{int(filled.sum())}",
        "size": f"{cube.sizes['lat']:,} x {cube.sizes['lon']:,} cells of {layout.grid.resolution:g} degrees",
        "bands": _bands(cube["wavelength"].values),
        "latitude": _range(cube["lat"].values),
        "longitude": _range(cube["lon"].values, around=True),
        "flags": " ".join(layout.flags) or "none",
        "pixels": f"{seen:,} seen, {used:,} used",
    }
    name, wavelength = layout.reflectance, cube["wavelength"].values
    rows = []
    for band in _shown_bands(wavelength):
        values = cube[name].isel(wavelength=band)
        rows.append((f"{name} {wavelength[band]:g} nm", values.attrs["units"], *_spread(values.values)))
    for other in ("count", "age"):
        values = cube[other]
        there = np.where(cube["count"].values > 0, values.values, np.nan)
        rows.append((other, values.attrs["units"], *_spread(there)))
    return Contents(facts, _table(rows))


def holds_patches(path: Path) -> bool:
    """True for a file of patches or single pixels, by its dimensions; False also for what can't be read."""
    try:
        with h5netcdf.File(path, "r") as file:
            return "sample" in file.dimensions or ("pixel" in file.dimensions and "Rrs" in file.variables)
    except (OSError, ValueError, KeyError, RuntimeError):
        return False  # the reader that is tried next says what is wrong


def _variables(granule: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """Name and values of what is shown: some bands of spectra, and all else but the flags."""
    name = KINDS[granule.attrs["product"]].reflectance
    wavelength = granule["wavelength"].values
    green = int(np.abs(wavelength - 555).argmin())  # one band of the uncertainty tells enough
    for spectral, bands in ((name, _shown_bands(wavelength)), (f"{name}_unc", [green])):
        if spectral in granule:
            read = read_variables(granule.isel(wavelength=bands), [spectral])[spectral]
            for i, band in enumerate(bands):
                yield f"{spectral} {wavelength[band]:g} nm", read.isel(wavelength=i)
    for other in sorted(map(str, granule.data_vars)):
        if "wavelength" not in granule[other].dims and other != "l2_flags":
            yield other, read_variables(granule, [other])[other]


def _origin(simulated: bool) -> dict[str, str]:
    """A fact that nobody should overlook; none where everything was measured."""
    return {"origin": "SIMULATED: no part of it was measured"} if simulated else {}


def _shown_bands(wavelength: npt.NDArray[Any]) -> list[int]:
    """Positions of the bands nearest to those worth showing."""
    nearest = [int(np.abs(wavelength - nm).argmin()) for nm in _SHOWN_NM]
    near = [
        band for band, nm in zip(nearest, _SHOWN_NM, strict=True) if abs(wavelength[band] - nm) <= _WITHIN_NM
    ]
    return sorted(set(near)) or [0]


def _spread(values: npt.NDArray[Any]) -> tuple[float, float, float, float]:
    """Share of values that are there, and their 1st, 50th and 99th percentile."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, np.nan, np.nan, np.nan
    low, median, high = (float(value) for value in np.percentile(finite, [1, 50, 99]))
    return finite.size / values.size, low, median, high


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variable", "unit", "valid", "low", "median", "high"])


def _bands(wavelength: npt.NDArray[Any]) -> str:
    return f"{wavelength.size}, {wavelength[0]:g}-{wavelength[-1]:g} nm"


def _range(degrees: npt.NDArray[Any], *, around: bool = False) -> str:
    """Lowest and highest, or for longitudes the west and east end of the shortest arc that holds all."""
    finite = np.sort(np.mod(degrees[np.isfinite(degrees)], 360) if around else degrees[np.isfinite(degrees)])
    if not finite.size:
        return "unknown"
    if not around:
        return f"{finite[0]:.3f} to {finite[-1]:.3f}"
    gaps = np.diff(np.append(finite, finite[0] + 360))  # the widest one lies outside
    first = (int(gaps.argmax()) + 1) % finite.size
    west, east = ((finite[i] + 180) % 360 - 180 for i in (first, first - 1))
    return f"{west:.3f} to {east:.3f}"
