"""One period of a store as a Cloud-Optimised GeoTIFF, with styles that QGIS finds by themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from spectm.apps.export.provenance import provenance
from spectm.apps.looks import LEVEL, LOOKS, Look
from spectm.apps.moment import Moment
from spectm.errors import OutputError
from spectm.files import replacing, write_text

__all__ = ["BANDS", "style", "write_geotiff"]

FloatArray = npt.NDArray[np.floating[Any]]

BANDS = ("estimate", "low", "high", "exceedance", "flagged")
SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Band:
    """Values with what a program shows beside them."""

    name: str
    description: str
    unit: str
    values: FloatArray


def write_geotiff(moment: Moment, out: Path, *, threshold: float) -> tuple[Path, ...]:
    """Write estimate, ends of the 90 % interval, exceedance and flag as bands, and styles beside them.

    Parameters
    ----------
    moment : Moment
        Period and horizon.
    out : Path
        ``.tif``; an older one is replaced. ``NAME.qml`` beside it colours the estimate when QGIS opens the
        file, ``NAME.exceedance.qml`` can be loaded for the fourth band.
    threshold : float
        ug/L, of the fourth band.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    OutputError
        If the file has another suffix.
    StoreError
        If the threshold is not above zero.
    """
    from rasterio.crs import CRS  # type: ignore[import-untyped]
    from rasterio.io import MemoryFile  # type: ignore[import-untyped]
    from rasterio.shutil import copy  # type: ignore[import-untyped]
    from rasterio.transform import Affine  # type: ignore[import-untyped]

    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise OutputError(f"wanted a GeoTIFF (.tif), found {out.name!r}. Change its suffix.")
    bands, grid = _bands(moment, threshold), moment.grid
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(bands),
        "height": grid.n_rows,
        "width": grid.n_columns,
        "nodata": np.nan,
        "crs": CRS.from_epsg(4326),
        "transform": Affine(grid.resolution, 0, grid.west, 0, -grid.resolution, grid.north),
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            raster.update_tags(**_tags(moment, threshold))
            for number, band in enumerate(bands, start=1):
                raster.write(band.values.astype(np.float32), number)
                raster.set_band_description(number, band.name)
                raster.set_band_unit(number, band.unit)
                raster.update_tags(number, long_name=band.description)
        with memory.open() as raster, replacing(out) as unfinished:
            # Overviews of single cells: a mean over cells would lie outside every interval that is written.
            copy(raster, unfinished, driver="COG", compress="DEFLATE", overview_resampling="NEAREST")
    written = [out]
    for suffix, look, number in (("", LOOKS["estimate"], 1), (".exceedance", LOOKS["exceedance"], 4)):
        beside = out.with_name(f"{out.stem}{suffix}.qml")
        write_text(beside, style(look, number))
        written.append(beside)
    return tuple(written)


def _bands(moment: Moment, threshold: float) -> tuple[_Band, ...]:
    low, high = moment.estimate.interval(LEVEL)
    percent = f"{100 * LEVEL:.0f} %"
    flagged = np.where(moment.seen, moment.flagged.astype(np.float64), np.nan)
    values = (moment.microcystin, low, high, moment.exceedance(threshold), flagged)
    descriptions = (
        ("particulate microcystin in raw surface water, median", "ug/L"),
        (f"lower end of the {percent} interval; at the detection limit it is open", "ug/L"),
        (f"upper end of the {percent} interval", "ug/L"),
        (f"probability of more than {threshold:g} ug/L", "1"),
        ("1: the spectrum is unlike those learned from", "1"),
    )
    return tuple(
        _Band(name=name, description=text, unit=unit, values=found)
        for name, (text, unit), found in zip(BANDS, descriptions, values, strict=True)
    )


def _tags(moment: Moment, threshold: float) -> dict[str, str]:
    """Provenance, and what the file shows."""
    return provenance(moment.store) | {
        "title": str(moment.store.dataset.attrs["title"]),
        "period_start": str(moment.period.start),
        "period_end": str(moment.period.end),
        "days_ahead": f"{moment.horizon:g}",
        "threshold_ug_per_l": f"{threshold:g}",
        "AREA_OR_POINT": "Area",
    }


def style(look: Look, band: int) -> str:
    """QGIS style of one band: the colours of the printed map, between them interpolated.

    Parameters
    ----------
    look : Look
    band : int
        Counted from 1.
    """
    root = ElementTree.Element("qgis", version="3.16", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        ElementTree.SubElement(root, "pipe"),
        "rasterrenderer",
        type="singlebandpseudocolor",
        band=str(band),
        alphaBand="-1",
        opacity="1",
        classificationMin=f"{look.low:g}",
        classificationMax=f"{look.high:g}",
    )
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=f"{look.low:g}",
        maximumValue=f"{look.high:g}",
    )
    for value, colour in look.stops():
        label = f"{value:.2g}" if look.logarithmic else f"{value:.0%}"
        ElementTree.SubElement(shader, "item", value=f"{value:.6g}", color=colour, alpha="255", label=label)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"
