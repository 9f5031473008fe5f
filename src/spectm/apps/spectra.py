"""The spectrum behind an estimate, with its hidden windows and what the model makes of them."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.apps.behind import model_behind
from spectm.apps.cells import on_bands
from spectm.apps.history import cell_in
from spectm.apps.moment import Moment, days_in_words
from spectm.apps.places import Station
from spectm.data.cube import open_cube
from spectm.errors import StoreError
from spectm.training.forecaster import Forecaster

__all__ = ["Spectrum", "spectrum_at"]

FloatArray = npt.NDArray[np.floating[Any]]
LONG_GAP = 4.0  # times the usual step: OCI has none near 600 nm, and no line should bridge it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """Reflectance of one cell and period.

    Parameters
    ----------
    title : str
    wavelength : ndarray, shape (n_bands,)
        nm.
    Rrs, inferred : ndarray, shape (n_bands,)
        As measured, and what the model infers in the hidden windows, sr^-1; NaN outside them.
    windows : list of tuple of float
        First and last wavelength of each, nm.
    simulated : bool
    """

    title: str
    wavelength: FloatArray
    Rrs: FloatArray
    inferred: FloatArray
    windows: list[tuple[float, float]]
    simulated: bool

    @property
    def stretches(self) -> list[slice]:
        """Bands without a gap between them."""
        steps = np.diff(self.wavelength)
        breaks = np.flatnonzero(steps > LONG_GAP * np.median(steps)) + 1
        ends = [0, *breaks.tolist(), self.wavelength.size]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]


def spectrum_at(moment: Moment, station: Station, model: Forecaster | str | None = None) -> Spectrum:
    """Spectrum of the cell that a place lies in, from the cube that was predicted.

    Parameters
    ----------
    moment : Moment
        Period.
    station : Station
    model : Forecaster or str, optional
        The model, or its name or folder; that of the store otherwise.

    Raises
    ------
    StoreError
        If the place lies outside the maps, nothing was seen there, or the model is another or has no
        reconstruction.
    CubeError, CheckpointError
        If cube or model are not where they were.
    """
    row, column = cell_in(moment.store, station)
    with open_cube(moment.store.cube) as cube:
        days = cube["time_bnds"].values[:, 0].astype("datetime64[D]")
        found = np.flatnonzero(days == moment.period.start)
        if not found.size:
            raise StoreError(f"wanted {moment.period} in {moment.store.cube}, found no such period there.")
        one = cube.isel(time=int(found[0]), lat=row, lon=column)
        Rrs, wavelength = one["Rrs"].values.astype(np.float64), cube["wavelength"].values
    if not np.isfinite(Rrs).any():
        raise StoreError(
            f"wanted a spectrum at {station.name} in {moment.period}, found nothing seen there: cloud, or "
            "land. Choose another period or place."
        )
    behind = model if isinstance(model, Forecaster) else model_behind(moment.store, model)
    if moment.store.record["settings"]["resampled"]:
        target = np.array(behind.meta["wavelength_nm"])
        Rrs = on_bands(Rrs, wavelength, target, str(moment.store.cube)).astype(np.float64)
        wavelength = target
    inferred, window = _inferred(Rrs, behind)
    windows = [
        (float(wavelength[bands].min()), float(wavelength[bands].max()))
        for bands in (window == number for number in np.unique(window[window >= 0]))
    ]
    return Spectrum(
        title=f"{station.name}, {days_in_words(moment.period)}",
        wavelength=wavelength,
        Rrs=Rrs,
        inferred=np.where(window >= 0, inferred, np.nan),
        windows=windows,
        simulated=moment.store.simulated,
    )


def _inferred(Rrs: FloatArray, forecaster: Forecaster) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Hidden bands of a spectrum as the first model infers them, and the window of each band or -1."""
    if not forecaster.models or "reconstruction" not in forecaster.models[0].objective.weights:
        raise StoreError(
            "wanted a model that infers hidden bands, found one that does not: it was trained without that "
            "task. A pretrained one draws its reconstruction."
        )
    model = forecaster.models[0].eval()
    layout = model.encoder.layout
    patch = torch.from_numpy(Rrs.astype(np.float32))[None, :, None, None]
    hidden = torch.from_numpy(layout.targeted).expand(1, -1)
    with torch.no_grad():
        filled = model.fill_in(patch, hidden).double().numpy()[0]
    return filled, np.asarray(layout.window)
