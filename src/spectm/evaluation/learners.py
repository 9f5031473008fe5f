"""The recipes behind the baselines: mean spectrum and context in, log10 concentration out.

Each learner standardises with the rows it is fitted to and chooses its settings in inner folds grouped by
date. Choosing by single rows instead costs a ridge regression 1.0 R2 on the task ahead, as rows of one date
vouch for each other.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from spectm.data.context import Context
from spectm.data.splits import group_folds
from spectm.errors import BandNotFoundError
from spectm.evaluation.task import Task
from spectm.spectral.indices import INDICES, Index, supported_indices
from spectm.training.ridge import GroupedRidge, Standardiser

__all__ = ["BestIndex", "Given", "Inputs", "Learner", "Mean", "Ridge", "Standardised"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

SHORTEST_NM = 400.0  # below it the atmospheric correction leaves mostly noise over turbid water
N_INNER_FOLDS = 5
CONTEXT_PENALTY = 10.0  # beside an index: as if ten more rows said that a column does not matter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """What a learner sees of some rows.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        Mean spectrum, sr^-1, all bands.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    context : ndarray, shape (n, n_features)
        Season and laboratory, as far as the switch allows; no columns for "none".
    climatology, persistence : ndarray, shape (n,)
        log10 of ug/L: the references.
    indices : mapping of str to Index
        That a learner may choose from.
    """

    Rrs: FloatArray
    wavelength: FloatArray
    context: FloatArray
    climatology: FloatArray
    persistence: FloatArray
    indices: Mapping[str, Index] = field(default_factory=lambda: INDICES)

    @classmethod
    def of(cls, task: Task, context: Context) -> Self:
        """All rows of a task."""
        return cls(
            Rrs=task.spectra,
            wavelength=task.wavelength,
            context=task.context(context),
            climatology=task.climatology,
            persistence=task.persistence,
            indices=task.indices,
        )

    def __getitem__(self, rows: IntArray) -> "Inputs":
        """Return some rows."""
        return Inputs(
            Rrs=self.Rrs[rows],
            wavelength=self.wavelength,
            context=self.context[rows],
            climatology=self.climatology[rows],
            persistence=self.persistence[rows],
            indices=self.indices,
        )

    @property
    def spectrum(self) -> FloatArray:
        """Bands from 400 nm, shape (n, n_bands)."""
        return self.Rrs[:, self.wavelength >= SHORTEST_NM]

    @property
    def matrix(self) -> FloatArray:
        """Spectrum and context side by side, shape (n, n_bands + n_features)."""
        return np.hstack([self.spectrum, self.context])


class Learner(Protocol):
    """Learns a target (log10 of ug/L, or a departure) from inputs; `dates` group its inner folds."""

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Learn from rows."""
        ...

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the target, shape (n,)."""
        ...


@dataclass(slots=True)
class Mean:
    """The mean of the training rows."""

    mean_: float = field(init=False)

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Learn the mean."""
        self.mean_ = float(y.mean())
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the mean for every row."""
        return np.full(len(inputs.Rrs), self.mean_)


@dataclass(slots=True)
class Given:
    """A reference that stands in the inputs: nothing to learn."""

    read: Callable[[Inputs], FloatArray]

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Learn nothing."""
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return what stands in the inputs."""
        return self.read(inputs)


@dataclass(slots=True)
class Standardised:
    """A scikit-learn regressor on standardised columns.

    Parameters
    ----------
    make : callable
        Returns a fresh regressor for a matrix of the shape given.
    """

    make: Callable[[tuple[int, int]], Any]
    scaler_: Standardiser = field(init=False)
    model_: Any = field(init=False)

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Standardise and fit."""
        self.scaler_ = Standardiser().fit(inputs.matrix)
        matrix = self.scaler_.scaled(inputs.matrix)
        self.model_ = self.make(matrix.shape)
        with warnings.catch_warnings():
            # A small network that stops at its iteration limit is what the recipe asks for; and where all
            # targets are alike (a spring below detection) PLS warns, and rightly answers with their mean.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "y residual is constant", UserWarning)
            self.model_.fit(matrix, y)
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Predict rows."""
        return np.asarray(self.model_.predict(self.scaler_.scaled(inputs.matrix)), dtype=np.float64).ravel()


@dataclass(slots=True)
class Ridge:
    """Ridge regression; the penalty is the best over five inner folds grouped by date."""

    model_: GroupedRidge = field(init=False)

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Choose the penalty, then fit all rows."""
        self.model_ = GroupedRidge().fit(inputs.matrix, y, dates)
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Predict rows."""
        return self.model_.predict(inputs.matrix)


@dataclass(slots=True)
class BestIndex:
    """Straight line in the one spectral index that predicts best in five inner folds grouped by date.

    With context, its columns enter beside the index, lightly penalised: the stations alone are as many
    columns as some training parts have dates. With a single date there is nothing to choose by, and the
    answer is the mean.
    """

    name_: str | None = field(init=False)
    line_: "_Line" = field(init=False)

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Choose the index, then fit all rows."""
        supported = supported_indices(inputs.wavelength, inputs.indices)
        names = [name for name, missing in supported.items() if missing is None]
        if not names:
            raise BandNotFoundError(
                f"best-index: wanted the bands of one of {', '.join(inputs.indices)}; found "
                f"{inputs.wavelength.size} bands from {inputs.wavelength[0]:.0f} to "
                f"{inputs.wavelength[-1]:.0f} nm. Leave this model out."
            )
        self.name_ = _best_index(names, inputs, y, dates) if np.unique(dates).size > 1 else None
        self.line_ = _Line(_index_columns(self.name_, inputs), y)
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Predict rows."""
        return self.line_.at(_index_columns(self.name_, inputs))


class _Line:
    """Linear regression; all columns but the first are lightly penalised, and a missing value is typical."""

    def __init__(self, columns: FloatArray, y: FloatArray) -> None:
        known = np.isfinite(columns[:, 0])
        self.typical = float(np.median(columns[known, 0])) if known.any() else 0.0
        self.scaler, self.mean = Standardiser().fit(self._filled(columns)), float(y.mean())
        scaled = self.scaler.scaled(self._filled(columns))
        penalty = np.full(columns.shape[1], CONTEXT_PENALTY)
        penalty[0] = 1e-9  # only so that an index that does not vary has an answer
        self.slopes = np.linalg.solve(scaled.T @ scaled + np.diag(penalty), scaled.T @ (y - self.mean))

    def at(self, columns: FloatArray) -> FloatArray:
        return self.scaler.scaled(self._filled(columns)) @ self.slopes + self.mean

    def _filled(self, columns: FloatArray) -> FloatArray:
        return np.where(np.isfinite(columns), columns, self.typical)


def _best_index(names: list[str], inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> str:
    """The index whose line misses least on dates that it has not seen."""
    folds, error = group_folds(dates, N_INNER_FOLDS), {}
    for name in names:
        columns = _index_columns(name, inputs)
        guess = np.empty_like(y)
        for train, test in folds:
            guess[test] = _Line(columns[train], y[train]).at(columns[test])
        error[name] = float(((guess - y) ** 2).sum())
    return min(names, key=error.__getitem__)


def _index_columns(name: str | None, inputs: Inputs) -> FloatArray:
    """One index, NaN where undefined, and the context, shape (n, 1 + n_features); a zero for no index."""
    if name is None:
        return np.zeros((len(inputs.Rrs), 1))
    return np.column_stack([inputs.indices[name].function(inputs.Rrs, inputs.wavelength), inputs.context])
