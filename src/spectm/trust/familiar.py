"""How far columns lie from those learned from: along the directions in which these vary, and across them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.linalg

__all__ = ["Familiar"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

N_DIRECTIONS = 10
LEAST_DEVIATION = 1e-12  # a column that does not vary says nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Familiar:
    r"""Principal directions of standardised columns, and how much is left beside them.

    Parameters
    ----------
    centre, scale : ndarray, shape (n_columns,)
        Median and standard deviation; infinite where a column does not vary.
    directions : ndarray, shape (n_directions, n_columns)
        Orthonormal.
    deviation : ndarray, shape (n_directions,)
        Standard deviation along each.
    rest : float
        Root mean square of what is left of a column.

    Notes
    -----
    Columns may be missing: the position along the directions is then the most likely one under a normal
    distribution of these variances and of `rest` (probabilistic principal components).

    References
    ----------
    Tipping and Bishop (1999), J. R. Stat. Soc. B 61, 611, doi:10.1111/1467-9868.00196.
    """

    centre: FloatArray
    scale: FloatArray
    directions: FloatArray
    deviation: FloatArray
    rest: float

    @classmethod
    def fit(cls, columns: FloatArray, weight: FloatArray) -> Self:
        """Learn from complete rows.

        Parameters
        ----------
        columns : ndarray, shape (n, n_columns)
            At least two rows.
        weight : ndarray, shape (n,)
            How much each row counts.
        """
        centre = np.median(columns, axis=0)
        deviation = columns.std(axis=0)
        scale = np.where(deviation > LEAST_DEVIATION, deviation, np.inf)
        weighted = (columns - centre) / scale * np.sqrt(weight / weight.sum())[:, None]
        wide = weighted.shape[0] < weighted.shape[1]
        gram = weighted @ weighted.T if wide else weighted.T @ weighted
        n = min(N_DIRECTIONS, len(gram))
        variance, vectors = scipy.linalg.eigh(gram, subset_by_index=(len(gram) - n, len(gram) - 1))
        kept = variance > 1e-9 * max(float(variance[-1]), LEAST_DEVIATION)
        variance, vectors = variance[kept], vectors[:, kept]
        directions = (weighted.T @ vectors / np.sqrt(variance)).T if wide else vectors.T
        left = max((weighted**2).sum() - variance.sum(), 0.0) / columns.shape[1]
        return cls(
            centre=centre,
            scale=scale,
            directions=np.ascontiguousarray(directions),
            deviation=np.sqrt(variance),
            rest=max(float(np.sqrt(left)), 1e-6),
        )

    def distance(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far rows lie along the directions and across them.

        Parameters
        ----------
        columns : ndarray, shape (n, n_columns)
            NaN is missing.

        Returns
        -------
        tuple of ndarray, shape (n,)
            Root mean square of the position in deviations, and of what is left of the columns in units of
            `rest`; about 1 for rows learned from. NaN where all is missing.
        """
        z = (columns - self.centre) / self.scale
        along, across = np.full(len(z), np.nan), np.full(len(z), np.nan)
        for rows, there in _by_gaps(np.isfinite(z)):
            if not there.any() or self.deviation.size == 0:
                continue
            seen, part = z[rows][:, there], self.directions[:, there]
            precision = part @ part.T / self.rest**2 + np.diag(self.deviation**-2)
            position = np.linalg.solve(precision, part @ seen.T / self.rest**2).T  # (row, direction)
            along[rows] = np.sqrt(((position / self.deviation) ** 2).mean(axis=1))
            left = seen - position @ part
            across[rows] = np.sqrt(np.einsum("ij,ij->i", left, left) / there.sum()) / self.rest
        return along, across

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, for JSON."""
        return {
            "centre": self.centre.tolist(),
            # JSON has no infinity; 0 stands for a column that does not vary
            "scale": np.where(np.isfinite(self.scale), self.scale, 0.0).tolist(),
            "directions": self.directions.tolist(),
            "deviation": self.deviation.tolist(),
            "rest": self.rest,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        scale = np.array(stored["scale"], dtype=np.float64)
        return cls(
            centre=np.array(stored["centre"], dtype=np.float64),
            scale=np.where(scale > 0, scale, np.inf),
            directions=np.array(stored["directions"], dtype=np.float64).reshape(-1, scale.size),
            deviation=np.array(stored["deviation"], dtype=np.float64),
            rest=float(stored["rest"]),
        )


def _by_gaps(there: BoolArray) -> Iterator[tuple[IntArray, BoolArray]]:
    """Rows that have the same columns, and which these are; complete rows, most of a map, first."""
    complete = there.all(axis=1)
    if complete.any():
        yield np.flatnonzero(complete), np.ones(there.shape[1], dtype=np.bool_)
    rest = np.flatnonzero(~complete)
    _, first, which = np.unique(
        np.packbits(there[rest], axis=1), axis=0, return_index=True, return_inverse=True
    )
    for number, example in enumerate(first):
        yield rest[which.ravel() == number], there[rest[example]]
