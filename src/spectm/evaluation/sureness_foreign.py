"""Spectra of other waters in tables of other people: what of them looks familiar, and why not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import day_of_year
from spectm.data.patches import Patches
from spectm.errors import PatchError
from spectm.evaluation.sureness_familiar import ANY, LOOK, flag_shares, judged_by_look
from spectm.training.forecast import local_days
from spectm.trust.applicability import Applicability

__all__ = ["Foreign", "foreign_shares", "on_bands", "read_foreign"]

FloatArray = npt.NDArray[np.floating[Any]]

BAND = re.compile(r"(?:rrs[_ ]?)?(\d{3,4}(?:\.\d+)?)", re.IGNORECASE)
SHORTEST_NM, LONGEST_NM = 300.0, 1300.0
FEWEST_BANDS = 20
NEAREST_NM = 1.0  # headers give whole nanometres
WIDTH_NM = 5.0  # of a band of OCI: finer spectra are averaged over it
SHEET = "Rrs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """Spectra that no model here has learned from.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    Rrs : ndarray, shape (n, n_bands)
        sr^-1, NaN where missing.
    wavelength : ndarray, shape (n_bands,)
        nm, increasing.
    date : ndarray of datetime64[D], shape (n,)
    places : ndarray, shape (n, 2)
        Latitude and longitude, degrees; NaN where not known.
    """

    name: str
    Rrs: FloatArray
    wavelength: FloatArray
    date: npt.NDArray[np.datetime64]
    places: FloatArray


def read_foreign(path: Path) -> Foreign:
    """Read a table with a spectrum on every line.

    Parameters
    ----------
    path : Path
        CSV, or Excel with a sheet "Rrs". Columns of bands are headed by a wavelength in nm, with or without
        "Rrs_" before it; besides there are a column whose name holds "date" and ones that begin with "lat"
        and "lon". Units are sr^-1.

    Raises
    ------
    PatchError
        If it can't be read, or has no bands, dates or places.
    """
    table = _table(path)
    bands: dict[float, str] = {}
    for column in table.columns:
        found = BAND.fullmatch(str(column).strip())
        if found and SHORTEST_NM <= float(found[1]) <= LONGEST_NM:
            bands.setdefault(float(found[1]), column)
    date, *place = (_column(table, path, word) for word in ("date", "lat", "lon"))
    if len(bands) < FEWEST_BANDS:
        raise PatchError(
            f"{path}: wanted columns of {FEWEST_BANDS} bands or more, headed by wavelengths such as Rrs_443 "
            f"or 443, found {len(bands)}. Is reflectance in another sheet or file?"
        )
    wavelength = np.array(sorted(bands))
    numbers = table[[bands[nm] for nm in wavelength]].apply(pd.to_numeric, errors="coerce")
    days = pd.to_datetime(table[date], errors="coerce").to_numpy(dtype="datetime64[D]")
    if np.isnat(days).any():
        row = int(np.isnat(days).argmax())
        raise PatchError(
            f"{path}, column {date}, line {row + 2}: wanted a date, found {table[date].iloc[row]!r}. Write "
            "it as year-month-day"
        )
    places = table[place].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    Rrs = numbers.to_numpy(dtype=np.float64)
    return Foreign(name=path.stem, Rrs=Rrs, wavelength=wavelength, date=days, places=places)


def on_bands(foreign: Foreign, wavelength: FloatArray) -> FloatArray:
    """The spectra on other bands, NaN where they have none.

    Spectra of one nanometre or finer are averaged over 5 nm, the width of a band of OCI; of others the
    nearest band counts, if it lies within 1 nm.

    Parameters
    ----------
    foreign : Foreign
    wavelength : ndarray, shape (n_bands,)
        Wanted centres, nm.

    Returns
    -------
    ndarray, shape (n, n_bands)
    """
    own = foreign.wavelength
    apart = np.abs(own[:, None] - wavelength)  # (own band, wanted band)
    if np.median(np.diff(own)) > 1.0:
        nearest = apart.argmin(axis=0)
        there = apart.min(axis=0) <= NEAREST_NM
        return np.where(there, foreign.Rrs[:, nearest], np.nan)
    inside = apart <= WIDTH_NM / 2
    # a band that is cut by the end of the spectrum is not there
    whole = (own[0] <= wavelength - WIDTH_NM / 2 + 0.5) & (own[-1] >= wavelength + WIDTH_NM / 2 - 0.5)
    weight = np.where(whole, inside, False) / np.maximum(inside.sum(axis=0), 1)
    gap = np.isnan(foreign.Rrs).astype(np.float64) @ weight > 0
    mean = np.where(np.isnan(foreign.Rrs), 0.0, foreign.Rrs) @ weight
    return np.where(gap | ~whole, np.nan, mean)


def foreign_shares(patches: Patches, others: Sequence[Foreign]) -> pd.DataFrame:
    """What is flagged of other waters by what was fitted to all of a lake, in all and by reason.

    Bands that they lack are not judged, and are counted as a reason in "flagged" alone; spectra without any
    band of the lake are left out.

    Parameters
    ----------
    patches : Patches
        Of the lake.
    others : sequence of Foreign

    Returns
    -------
    DataFrame
        As `spectm.evaluation.sureness_familiar.flag_shares`.

    Raises
    ------
    ApplicabilityError
        If the lake has too few dates.
    """
    known = Applicability.fit(
        patches.mean_spectrum(),
        patches.wavelength,
        local_days(patches.time),
        day_of_year(pd.Series(local_days(patches.time))),
        places=np.column_stack([patches.latitude, patches.longitude]),
    )
    parts = []
    for other in others:
        Rrs = on_bands(other, patches.wavelength)
        seen = np.isfinite(Rrs).any(axis=1)
        flags = known.flag(Rrs[seen], day_of_year(pd.Series(other.date[seen])), places=other.places[seen])
        columns = {"date": other.date[seen], ANY: flags.flagged, LOOK: judged_by_look(flags)}
        parts.append(flag_shares(other.name, pd.DataFrame(columns | flags.reasons)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in (".xlsx", ".xls"):
            return pd.read_excel(path, sheet_name=SHEET)
        return pd.read_csv(path, low_memory=False)
    except ImportError as error:
        raise PatchError(
            f"{path}: reading Excel files wants openpyxl: pip install openpyxl, or save the "
            f"sheet {SHEET} as CSV"
        ) from error
    except (OSError, ValueError) as error:  # also of a file without that sheet, or that is no table
        raise PatchError(
            f"can't read {path} as a table of spectra: {error}. Wanted CSV, or Excel with a sheet {SHEET}"
        ) from error


def _column(table: pd.DataFrame, path: Path, word: str) -> str:
    """The first column whose name has a word: at its start, or for dates anywhere."""
    names = [str(name) for name in table.columns]
    for name, column in zip(names, table.columns, strict=True):
        low = name.strip().lower()
        if low.startswith(word) or (word == "date" and word in low):
            return column
    raise PatchError(
        f"{path}: wanted a column of {word}, found none; the first ones are {', '.join(names[:6])}. Name "
        "them date, lat and lon"
    )
