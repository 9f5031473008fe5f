"""Ridge regression whose penalty is chosen in folds that divide no group."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectm.data.splits import group_folds

__all__ = ["GroupedRidge", "Standardiser"]

FloatArray = npt.NDArray[np.floating[Any]]

PENALTIES = np.logspace(-2, 5, 30)
N_INNER_FOLDS = 5


@dataclass(slots=True)
class Standardiser:
    """Columns of zero mean and unit deviation, with the statistics of the rows it was fitted to."""

    mean_: FloatArray = field(init=False)
    scale_: FloatArray = field(init=False)

    def fit(self, columns: FloatArray) -> Self:
        """Learn means and deviations; a column that does not vary becomes zero."""
        deviation = columns.std(axis=0)
        self.mean_ = columns.mean(axis=0)
        self.scale_ = np.where(deviation > 1e-12, deviation, np.inf)
        return self

    def scaled(self, columns: FloatArray) -> FloatArray:
        """Standardised columns, shape (n, n_columns)."""
        return (columns - self.mean_) / self.scale_


@dataclass(slots=True)
class GroupedRidge:
    """Linear model of standardised columns, its penalty the best over five inner folds of whole groups.

    Attributes
    ----------
    scaler_ : Standardiser
    coefficients_ : ndarray, shape (n_columns,)
        Of the standardised columns.
    intercept_, penalty_ : float
    out_of_fold_ : ndarray, shape (n,)
        Each training row as predicted from the groups that are not its own, with the chosen penalty.
    """

    scaler_: Standardiser = field(init=False)
    coefficients_: FloatArray = field(init=False)
    intercept_: float = field(init=False)
    penalty_: float = field(init=False)
    out_of_fold_: FloatArray = field(init=False, repr=False)

    def fit(self, columns: FloatArray, y: FloatArray, groups: npt.NDArray[Any]) -> Self:
        """Choose the penalty, then fit all rows.

        Parameters
        ----------
        columns : ndarray, shape (n, n_columns)
            Standardised anew inside every fold.
        y : ndarray, shape (n,)
            Target.
        groups : ndarray, shape (n,)
            Sampling dates: choosing by single rows lets rows of one date vouch for each other. With a single
            group there is nothing to choose by, and the answer is the mean.
        """
        self.penalty_, self.out_of_fold_ = _best_penalty(columns, y, groups)
        self.scaler_ = Standardiser().fit(columns)
        self.intercept_ = float(y.mean())
        self.coefficients_ = _path(self.scaler_.scaled(columns), y, np.array([self.penalty_]))[0]
        return self

    def predict(self, columns: FloatArray) -> FloatArray:
        """Predictions, shape (n,)."""
        return self.scaler_.scaled(columns) @ self.coefficients_ + self.intercept_


def _best_penalty(columns: FloatArray, y: FloatArray, groups: npt.NDArray[Any]) -> tuple[float, FloatArray]:
    """The penalty, and the predictions of each row that it gives from the other folds."""
    if np.unique(groups).size < 2:
        return float("inf"), np.full(y.size, y.mean())
    guess = np.empty((y.size, PENALTIES.size))
    for train, test in group_folds(groups, N_INNER_FOLDS):
        scaler = Standardiser().fit(columns[train])
        path = _path(scaler.scaled(columns[train]), y[train], PENALTIES)  # (penalty, column)
        guess[test] = scaler.scaled(columns[test]) @ path.T + y[train].mean()
    best = int(((guess - y[:, None]) ** 2).sum(axis=0).argmin())
    return float(PENALTIES[best]), guess[:, best]


def _path(x: FloatArray, y: FloatArray, penalties: FloatArray) -> FloatArray:
    """Coefficients for every penalty, shape (n_penalties, n_columns), by one decomposition among rows.

    There are far fewer rows than columns, so ``x' (x x' + penalty)^-1 y`` is the cheap form.
    """
    squares, u = np.linalg.eigh(x @ x.T)
    shrunk = (u.T @ (y - y.mean())) / (np.maximum(squares, 0.0) + penalties[:, None])  # (penalty, component)
    return shrunk @ u.T @ x
