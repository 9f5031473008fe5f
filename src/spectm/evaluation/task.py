"""One task of the protocol as arrays: spectra, targets, references and context of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import (
    Climatology,
    Context,
    context_features,
    day_of_year,
    last_values,
    log10_censored,
)
from spectm.data.labels import Labels, surface_samples
from spectm.data.matchups import matchups
from spectm.data.patches import Patches
from spectm.evaluation.scores import Observations
from spectm.spectral.indices import INDICES, Index

__all__ = ["Task", "build_task"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What every model of a comparison is given, and what it is held against.

    Parameters
    ----------
    name : str
        "current" or "ahead".
    rows : DataFrame
        Matchups, one row for each laboratory sample, as `spectm.data.matchups` returns them.
    spectra : ndarray, shape (n, n_bands)
        Mean reflectance over the valid pixels of each row's patch, sr^-1.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    y : ndarray, shape (n,)
        Target, log10 of ug/L; below detection it holds the limit.
    below : ndarray of bool, shape (n,)
        True where the target is below detection.
    climatology : ndarray, shape (n,)
        log10 of ug/L from samples of earlier years, at the day and station of the target.
    last : DataFrame
        The newest admissible laboratory value of each row, as `spectm.data.context.last_values` returns it.
    indices : mapping of str to Index
        That a model may choose from.
    """

    name: str
    rows: pd.DataFrame
    spectra: FloatArray
    wavelength: FloatArray
    y: FloatArray
    below: BoolArray
    climatology: FloatArray
    last: pd.DataFrame
    indices: Mapping[str, Index] = field(default_factory=lambda: INDICES)

    @property
    def dates(self) -> npt.NDArray[np.str_]:
        """Local sampling date of each row, shape (n,): the group of every inner fold and of the bootstrap."""
        return self.rows["date"].to_numpy(dtype=np.str_)

    @property
    def persistence(self) -> FloatArray:
        """Newest admissible laboratory value, shape (n,), log10; the climatology where there is none."""
        last = self.last["log10_last"].to_numpy(dtype=np.float64)
        return np.where(np.isfinite(last), last, self.climatology)

    def context(self, name: Context) -> FloatArray:
        """Return what a model is given beside the spectrum, shape (n, n_features); no column for "none"."""
        stations = sorted(set(self.rows["station"]))
        return context_features(
            name, self.rows, stations=stations, climatology=self.climatology, last=self.last
        )

    def observations(self, rows: IntArray) -> Observations:
        """Return the targets of some rows, in the form that scores take."""
        return Observations(self.y[rows], self.below[rows], self.dates[rows])

    def without_inputs_from(self, train: IntArray, test: IntArray) -> IntArray:
        """Return the training rows whose last laboratory value is not of a test date.

        Such a value is a label of the test date, though it stands among the inputs of another row. Only
        models that see the last value (context "season+lab", and persistence) need this, and only where a
        test date is left out as a whole.

        Parameters
        ----------
        train, test : ndarray of int
            Rows.

        Returns
        -------
        ndarray of int
            Those of `train` that may be learned from.
        """
        last_date = self.last["last_date"].to_numpy(dtype=np.str_)
        return train[~np.isin(last_date[train], np.unique(self.dates[test]))]


def build_task(
    name: str, patches: Patches, labels: Labels, *, climatology: Climatology | None = None
) -> Task:
    """Rows, targets and references of one task.

    Parameters
    ----------
    name : str
        "current" or "ahead".
    patches : Patches
        Station patches.
    labels : Labels
        The whole laboratory record: the climatology is learned from the years before the first patch.
    climatology : Climatology, optional
        That of a trained model, which needs no earlier years here.

    Returns
    -------
    Task
        Rows sorted by sample time and station.

    Raises
    ------
    SpectmError
        If the task is unknown, nothing pairs, or no earlier years are there to learn a climatology from.
    """
    rows = matchups(name, patches, labels)
    surface = surface_samples(labels)
    spectra = patches.mean_spectrum()[rows["patch"].to_numpy()]
    if climatology is None:
        climatology = Climatology.fit(surface, last_year=patches.year_before)
    return Task(
        name=name,
        rows=rows,
        spectra=spectra,
        wavelength=patches.wavelength,
        y=log10_censored(rows["observed"]),
        below=rows["below_detection"].to_numpy(dtype=np.bool_),
        climatology=climatology.predict(day_of_year(rows["date"]), rows["station"]),
        last=last_values(rows, surface),
    )
