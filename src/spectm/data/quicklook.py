"""Quick-look pictures: what a file shows, with every pixel at its place. Not for measuring.

matplotlib is used through its objects and imported where something is drawn.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial import KDTree

from spectm.data.granule import read_variables
from spectm.data.headers import KINDS
from spectm.data.origin import is_simulated, origin_mark
from spectm.data.patches import Patches
from spectm.errors import CubeError
from spectm.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["colour", "draw_cube", "draw_granule", "draw_patches", "raster"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

RGB_NM = (645.0, 555.0, 465.0)
WITHIN_NM = 15.0
MOST_ROWS = 700  # pixels on a side: beyond that, some are left out
LONG_SIDE = 900  # cells of the picture on its longer side
SEAM = 0.05  # share of a pixel: rounding must leave no lines between neighbours
NO_VALUE, NO_PIXEL = (0.80, 0.80, 0.80), (1.0, 1.0, 1.0)
INK, GREY, BLUE = "#1b1b1b", "#6b6b6b", "#0072b2"


@dataclass(frozen=True, slots=True)
class Raster:
    """For every cell of a picture, rows from the north, the pixel that lies there, or -1; and its borders."""

    pixel: IntArray
    west: float
    east: float
    south: float
    north: float


def draw_granule(granule: xr.Dataset, out: Path) -> str:
    """Draw approximate true colours, or one band where the file has no red, green and blue.

    Parameters
    ----------
    granule : Dataset
        From `spectm.data.granule.open_granule`, cropped or whole.
    out : Path
        PNG file; an older one is replaced.

    Returns
    -------
    str
        What the picture shows.

    Raises
    ------
    GranuleError
        If the file is damaged where the values lie.
    """
    dims = granule["lat"].dims if granule["lat"].ndim == 2 else ("lat", "lon")
    thinned = granule.isel({dim: slice(None, None, -(-granule.sizes[dim] // MOST_ROWS)) for dim in dims})
    name = KINDS[granule.attrs["product"]].reflectance
    bands = colour_bands(granule["wavelength"].values)
    values = read_variables(thinned.isel(wavelength=bands), [name])[name].values  # (row, column, band)
    lat, lon = (thinned[side].values.astype(np.float64) for side in ("lat", "lon"))
    if lat.ndim == 1:
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
    place = raster(lat, lon)
    centres = [f"{granule['wavelength'].values[band]:g}" for band in bands]
    if len(bands) == 3:
        what = f"{name} at {centres[0]}, {centres[1]} and {centres[2]} nm as red, green and blue"
    else:
        what = f"{name} at {centres[0]} nm"
    _save(_picture(granule, name, values, place, f"{what}; grey: no value"), out)
    return what


def draw_cube(cube: xr.Dataset, out: Path) -> str:
    """Draw the latest period of a cube that holds anything, as `draw_granule` draws a map.

    Parameters
    ----------
    cube : Dataset
        From `spectm.data.cube.open_cube`.
    out : Path
        PNG file; an older one is replaced.

    Returns
    -------
    str
        What the picture shows.

    Raises
    ------
    CubeError
        If no period holds a pixel.
    """
    filled = np.flatnonzero((cube["count"].values > 0).any(axis=(1, 2)))
    if not filled.size:
        raise CubeError("wanted a period with pixels to draw, found none in the cube. Compose more granules.")
    one = cube.isel(time=int(filled[-1]))
    first, end = one["time_bnds"].values.astype("datetime64[D]")
    one.attrs = {
        "product": cube.attrs["layout"]["product"],
        "period": f"{first} to {end - np.timedelta64(1, 'D')}",
        **origin_mark(is_simulated(cube.attrs)),
    }
    return draw_granule(one, out)


def draw_patches(patches: Patches, out: Path) -> str:
    """Draw the spectra of patches, and on a map how many of them lie where.

    Parameters
    ----------
    patches : Patches
        What to draw.
    out : Path
        PNG file; an older one is replaced.

    Returns
    -------
    str
        What the picture shows.
    """
    placed = np.isfinite(patches.latitude) & np.isfinite(patches.longitude)
    canvas = _canvas(9.0 if placed.any() else 6.0, 4.0)
    panels: Any = canvas.subplots(1, 2 if placed.any() else 1, squeeze=False)[0]
    spectra = patches.mean_spectrum()
    spectra = 1e3 * spectra[np.isfinite(spectra).any(axis=1)]
    if len(spectra):
        low, middle, high = np.nanpercentile(spectra, [10, 50, 90], axis=0)
        for a, b in _stretches(patches.wavelength):  # OCI has a gap at 600 nm that no line should bridge
            nm = patches.wavelength[a:b]
            panels[0].plot(nm, spectra[:200, a:b].T, color=GREY, linewidth=0.4, alpha=0.25)
            panels[0].fill_between(nm, low[a:b], high[a:b], color=BLUE, alpha=0.25, linewidth=0)
            panels[0].plot(nm, middle[a:b], color=BLUE, linewidth=2.0)
        lowest, highest = np.nanpercentile(spectra, [0.5, 99.5])
        panels[0].set_ylim(min(0, lowest) - 0.05 * highest, 1.1 * highest)
    panels[0].axhline(0, color=INK, linewidth=0.6)
    panels[0].set(xlabel="wavelength, nm", ylabel="Rrs, 10⁻³ sr⁻¹")
    panels[0].set_title("median and 10-90 % of mean spectra; grey: single ones", fontsize=8.5, loc="left")
    if placed.any():
        _draw_places(canvas, panels[1], patches.latitude[placed], patches.longitude[placed])
    days = np.sort(patches.time).astype("datetime64[D]")
    when = f", {days[0]} to {days[-1]}" if days.size else ""
    kind = "simulated patches" if patches.simulated else "patches"
    canvas.suptitle(f"{patches.n_samples:,} {kind}{when}", fontsize=11, x=0.01, ha="left")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    _save(canvas, out)
    return "spectra and places of the patches" if placed.any() else "spectra of the patches"


def colour_bands(wavelength: FloatArray) -> list[int]:
    """Bands for red, green and blue, or the one nearest to green where one of them is missing."""
    nearest = [int(np.abs(wavelength - nm).argmin()) for nm in RGB_NM]
    if all(abs(wavelength[band] - nm) <= WITHIN_NM for band, nm in zip(nearest, RGB_NM, strict=True)):
        return nearest
    return [nearest[1]]


def colour(reflectance: FloatArray) -> FloatArray:
    """Colours of reflectance at red, green and blue, one stretch for all three, so that hues stay.

    Parameters
    ----------
    reflectance : ndarray, shape (..., 3)
        Any unit; negative values become 0.

    Returns
    -------
    ndarray, shape (..., 3)
        0 to 1, NaN where any of the three is missing. The 99th percentile of the brightest channel becomes
        1, and dark water is lifted with a power of 0.6.
    """
    missing = ~np.isfinite(reflectance).all(axis=-1)
    brightest = np.where(missing, np.nan, reflectance.max(axis=-1))
    top = np.nanpercentile(brightest, 99) if not missing.all() else 1.0
    lifted = np.clip(np.nan_to_num(reflectance) / max(float(top), 1e-9), 0, 1) ** 0.6
    lifted[missing] = np.nan
    return lifted


def raster(lat: FloatArray, lon: FloatArray, *, long_side: int = LONG_SIDE) -> Raster:
    """Pixel under every cell of a picture in plain longitude and latitude.

    Parameters
    ----------
    lat, lon : ndarray, shape (n_rows, n_columns)
        Pixel centres, degrees; NaN where unknown. They may lie across the date line.
    long_side : int
        Cells on the longer side of the picture.

    Returns
    -------
    Raster
        ``pixel`` (cell row from the north, cell column) counts pixels row by row; a pixel is the shape
        between its neighbours, half-way to each. Cells under none have -1. East may exceed 180.
    """
    known = np.isfinite(lat) & np.isfinite(lon)
    if not known.any():
        return Raster(np.full((1, 1), -1), -1.0, 1.0, -1.0, 1.0)
    squeeze = float(np.cos(np.deg2rad(np.clip(lat[known].mean(), -85, 85))))
    xy = np.stack([_unwrapped(lon, known) * squeeze, lat], axis=-1)  # (row, column, xy)
    down, across = _sides(xy)
    centre, down, across = xy[known], down[known], across[known]  # (pixel, xy)
    corners = np.concatenate([centre + (i * down + j * across) / 2 for i in (-1, 1) for j in (-1, 1)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    n_x, n_y = np.maximum(1, np.rint((high - low) * long_side / (high - low).max())).astype(int).tolist()
    x = low[0] + (np.arange(n_x) + 0.5) * (high[0] - low[0]) / n_x
    y = high[1] - (np.arange(n_y) + 0.5) * (high[1] - low[1]) / n_y
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)  # (cell, xy)
    pixel = np.full(len(cells), -1)
    left, tree = np.arange(len(cells)), KDTree(centre)
    # At the edge of a swath a pixel is six times as wide as long: its centre need not be the nearest one.
    for n_near in (1, min(6, len(centre))):
        _, near = tree.query(cells[left], k=np.arange(1, n_near + 1))  # (cell, candidate)
        offset = cells[left, None] - centre[near]
        area = np.maximum(np.abs(_cross(down, across)), 1e-12)[near]
        steps = np.maximum(np.abs(_cross(offset, across[near])), np.abs(_cross(down[near], offset))) / area
        best = steps.argmin(axis=1)[:, None]
        inside = np.take_along_axis(steps, best, axis=1)[:, 0] <= 0.5 + SEAM
        pixel[left[inside]] = np.flatnonzero(known)[np.take_along_axis(near, best, axis=1)[inside, 0]]
        left = left[~inside]
        if not left.size:
            break
    return Raster(pixel.reshape(n_y, n_x), low[0] / squeeze, high[0] / squeeze, float(low[1]), float(high[1]))


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Area between two vectors, with sign."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _sides(xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vectors to the next row and to the next column at every pixel, shape (n_rows, n_columns, 2) each."""
    down, across = (_step(xy, axis) for axis in (0, 1))
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    if down is None:
        down = np.full_like(xy, [0.0, 0.01]) if across is None else across @ turn
    if across is None:
        across = down @ turn
    return down, across


def _step(xy: FloatArray, axis: int) -> FloatArray | None:
    """Mean vector from and to the neighbours along an axis, the usual one where both are missing."""
    between = np.diff(xy, axis=axis)
    length = np.hypot(between[..., 0], between[..., 1])
    if not np.isfinite(length).any():
        return None
    # A jump to another piece of a swath is no pixel size; OCI's grow to six times those at nadir.
    between[~(length < 8 * np.nanmedian(length))] = np.nan
    usual = np.nanmedian(between.reshape(-1, 2), axis=0)
    nothing = np.full_like(np.take(xy, [0], axis=axis), np.nan)
    before, after = (np.concatenate(both, axis=axis) for both in ((nothing, between), (between, nothing)))
    step = np.where(np.isnan(before), after, np.where(np.isnan(after), before, (before + after) / 2))
    return np.where(np.isnan(step), usual, step)


def _unwrapped(lon: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """Longitudes without a jump at the date line; they begin after the widest gap around the globe."""
    sorted_lon = np.unique(np.mod(lon[known], 360))
    gaps = np.diff(np.append(sorted_lon, sorted_lon[0] + 360))
    first = sorted_lon[(int(gaps.argmax()) + 1) % sorted_lon.size]
    turned = first + np.mod(lon - first, 360)
    return turned - 360 if first >= 180 else turned


def _picture(granule: xr.Dataset, name: str, values: FloatArray, place: Raster, caption: str) -> "Canvas":
    """Map of colours or of one band, with degrees at its sides."""
    middle = np.deg2rad(np.clip((place.north + place.south) / 2, -85, 85))
    shape = (place.north - place.south) / ((place.east - place.west) * np.cos(middle))  # height over width
    width = float(np.clip(6.5 / np.sqrt(shape), 4.5, 10.0))
    canvas = _canvas(width, float(np.clip(width * shape, 2.2, 9.0)) + 0.9)
    axes = canvas.subplots()
    cells = place.pixel.clip(0)
    box: Any = {"extent": (place.west, place.east, place.south, place.north), "interpolation": "nearest"}
    if values.shape[-1] == 3:
        image = colour(values).reshape(-1, 3)[cells]  # (cell row, cell column, 3)
        image[~np.isfinite(image).all(axis=-1)] = NO_VALUE
        image[place.pixel < 0] = NO_PIXEL
        axes.imshow(image, **box)
    else:
        _draw_band(canvas, axes, values[..., 0].ravel()[cells], place, name, box)
    _set_degrees(axes, middle)
    axes.spines[:].set_color("#c8c8c8")
    at: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(_title(granule.attrs), (0, 1), xytext=(0, 20), fontsize=11, color=INK, **at)
    axes.annotate(caption, (0, 1), xytext=(0, 6), fontsize=8, color=GREY, **at)
    return canvas


def _title(said: dict[Any, Any]) -> str:
    """Product and time."""
    what = f"{'Simulated ' * is_simulated(said)}PACE OCI {str(said['product']).replace('_', ' ')}"
    if "period" in said:
        return f"{what}, composite of {said['period']}"
    start, end = (
        str(said.get(f"time_coverage_{side}", ""))[:16].replace("T", " ") for side in ("start", "end")
    )
    when = f"{start[:10]} to {end[:10]}" if str(said["product"]).startswith("L3") else f"{start} UTC"
    twin = ", near real time" if said.get("near_real_time") else ""
    return f"{what}, {when}{twin}"


def _set_degrees(axes: "Axes", middle: float) -> None:
    """Axes of longitude and latitude, true to scale in the middle (radians)."""
    axes.set_aspect(1 / np.cos(middle))
    axes.xaxis.set_major_formatter(lambda degrees, _: _degrees((degrees + 180) % 360 - 180, "E", "W"))
    axes.yaxis.set_major_formatter(lambda degrees, _: _degrees(degrees, "N", "S"))
    axes.locator_params(nbins=5)
    axes.tick_params(colors=GREY, labelsize=8)


def _draw_band(canvas: "Canvas", axes: "Axes", band: FloatArray, place: Raster, name: str, box: Any) -> None:
    """One band with a colour bar; grey where it has no value."""
    back = np.where((place.pixel < 0)[..., None], NO_PIXEL, NO_VALUE)
    axes.imshow(back, **box)
    band = np.where(place.pixel < 0, np.nan, band)
    factor, unit = (1e3, "10⁻³ sr⁻¹") if name == "Rrs" else (1.0, "1")
    shown = factor * band[np.isfinite(band)]
    low, high = np.percentile(shown, [1, 99]) if shown.size else (0.0, 1.0)
    image = axes.imshow(factor * band, cmap="viridis", vmin=low, vmax=max(high, low + 1e-6), **box)
    bar = canvas.colorbar(image, ax=axes, shrink=0.8, extend="both")
    bar.set_label(f"{name}, {unit}", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)


def _draw_places(canvas: "Canvas", axes: "Axes", latitude: FloatArray, longitude: FloatArray) -> None:
    """Places of patches, larger and darker where there are more."""
    unwrapped = _unwrapped(longitude, np.ones(longitude.shape, dtype=bool))
    places = np.column_stack([unwrapped, latitude]).round(2)  # a pixel is about as large
    where, count = np.unique(places, axis=0, return_counts=True)
    size = 12 + 90 * count / count.max()
    dots = axes.scatter(
        where[:, 0], where[:, 1], s=size, c=count, cmap="Blues", vmin=0, edgecolors=INK, linewidths=0.6
    )
    axes.margins(0.12)
    _set_degrees(axes, float(np.deg2rad(np.clip(latitude.mean(), -85, 85))))
    axes.set_adjustable("datalim")
    axes.set_title(f"{len(where)} places", fontsize=8.5, loc="left")
    canvas.colorbar(dots, ax=axes, shrink=0.8).set_label("patches", fontsize=8.5)


def _stretches(wavelength: FloatArray) -> list[tuple[int, int]]:
    """First and last-but-one position of runs of bands without a wide gap between them."""
    step = np.diff(wavelength)
    breaks = np.flatnonzero(step > 3 * np.median(step) + 5) + 1 if step.size else np.empty(0, dtype=np.int64)
    edges = [0, *breaks.tolist(), len(wavelength)]
    return list(itertools.pairwise(edges))


def _degrees(value: float, positive: str, negative: str) -> str:
    """Degrees as people write them."""
    return f"{abs(value):.5g}°{'' if abs(value) < 1e-9 else positive if value > 0 else negative}"


def _canvas(width: float, height: float) -> "Canvas":
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def _save(canvas: "Canvas", out: Path) -> None:
    with replacing(Path(out)) as unfinished:
        canvas.savefig(unfinished, format="png", dpi=150, bbox_inches="tight", pad_inches=0.1)
