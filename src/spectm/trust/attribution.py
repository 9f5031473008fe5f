"""Which bands an estimate rests on: integrated gradients and occlusion, for any function of spectra.

An attribution says what a function used, not what is in the water. It always speaks of a difference: between
the estimate for a spectrum and that for a reference spectrum.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spectm.errors import AttributionError

__all__ = [
    "TOLERANCE",
    "BandAttribution",
    "SpectralFunction",
    "differentiable",
    "integrated_gradients",
    "occlusion",
    "path_differences",
    "path_gradients",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.integer[Any]]
SpectralFunction = Callable[..., Tensor]
"""Spectra (row, n_bands), float64, and more tensors of as many rows, to one number for each row."""

TOLERANCE = 0.01
"""How far the sum over bands may lie from the difference it explains, log10: 2 % of a concentration."""

# The integral starts with so many steps; where it is not complete, they are doubled up to the latter number.
STEPS, MOST_STEPS = 16, 512
# Spectra that a function is given at a time: what bounds the memory, however many there are.
ROWS_AT_ONCE = 512
# sr^-1. Formulas in numpy are differentiated over this distance to either side: the noise of a band of OCI. A
# formula with a jump (an index that is 0 until two conditions are met) so has a slope near it that holds the
# whole jump; a derivative proper would lose it.
STEP = 1e-4
BANDS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BandAttribution:
    """What each band adds to an estimate, relative to a reference spectrum.

    Parameters
    ----------
    bands : ndarray, shape (n, n_bands)
        In the unit of the estimate, log10; NaN where the spectrum has a gap.
    estimate, reference : ndarray, shape (n,)
        Of the spectra and of their reference spectra.
    """

    bands: FloatArray
    estimate: FloatArray
    reference: FloatArray

    @property
    def gap(self) -> FloatArray:
        """What the bands leave unexplained, shape (n,): 0 if the attribution is complete."""
        return self.estimate - self.reference - self.bands.sum(axis=1)

    def complete(self, tolerance: float = TOLERANCE) -> BoolArray:
        """Whether the sum over bands is the difference of the estimates, within a tolerance, shape (n,)."""
        return np.abs(self.gap) <= tolerance


def integrated_gradients(
    function: SpectralFunction,
    spectra: FloatArray,
    reference: FloatArray,
    *,
    more: Sequence[Tensor] = (),
    tolerance: float = TOLERANCE,
    rows_at_once: int = ROWS_AT_ONCE,
) -> BandAttribution:
    r"""Integrated gradients of a function of spectra.

    Parameters
    ----------
    function : callable
        Spectra, tensor (row, n_bands), float64, and `more`, to a tensor (row,).
    spectra, reference : ndarray, shape (n, n_bands)
        Spectra, and what each is compared with. A row with a gap gets NaN.
    more : sequence of Tensor, each of shape (n, ...)
        What else the function needs of each row.
    tolerance : float
        The number of steps is doubled, up to 512, for rows whose attribution is not complete within it.
    rows_at_once : int
        The most spectra that the function is given in one call.

    Returns
    -------
    BandAttribution
        Ask `complete` of it: a function that jumps may miss the tolerance all the same.

    Raises
    ------
    AttributionError
        If shapes do not belong together, or a gradient is not finite.

    Notes
    -----
    :math:`a_b = (x_b - r_b) \int_0^1 \partial f(r + t (x - r)) / \partial x_b \, dt`, by Gauss-Legendre
    quadrature; :math:`\sum_b a_b = f(x) - f(r)`.

    References
    ----------
    Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks, ICML, arXiv 1703.01365.
    Kokhlikyan et al. (2020), Captum, arXiv 2009.07896.
    """
    _check(spectra, reference, more)
    found = np.full(spectra.shape, np.nan)
    estimate, at_reference = np.full(len(spectra), np.nan), np.full(len(spectra), np.nan)
    left, steps = np.flatnonzero(np.isfinite(spectra + reference).all(axis=1)), STEPS
    for rows in _parts(left, rows_at_once):
        with torch.no_grad():
            of_rows = [tensor[rows] for tensor in more]
            estimate[rows] = function(_tensor(spectra[rows]), *of_rows).numpy()
            at_reference[rows] = function(_tensor(reference[rows]), *of_rows).numpy()
    while left.size and steps <= MOST_STEPS:
        for rows in _parts(left, max(1, rows_at_once // steps)):
            found[rows] = _integral(function, spectra[rows], reference[rows], [m[rows] for m in more], steps)
        gap = (estimate - at_reference - found.sum(axis=1))[left]
        if not np.isfinite(gap).all():
            raise AttributionError(
                f"attribution: wanted finite gradients, found others for {int((~np.isfinite(gap)).sum())} of "
                f"{gap.size} spectra. Is the function smooth between spectrum and reference?"
            )
        left, steps = left[np.abs(gap) > tolerance], 2 * steps
    return BandAttribution(bands=found, estimate=estimate, reference=at_reference)


def occlusion(
    function: SpectralFunction,
    spectra: FloatArray,
    replacement: FloatArray,
    groups: IntArray,
    *,
    more: Sequence[Tensor] = (),
    rows_at_once: int = ROWS_AT_ONCE,
) -> FloatArray:
    """By how much an estimate exceeds that for the spectrum with one group of bands replaced.

    Parameters
    ----------
    function, more, rows_at_once
        As for `integrated_gradients`.
    spectra, replacement : ndarray, shape (n, n_bands)
        Spectra, and what the bands of a group are replaced by.
    groups : ndarray of int, shape (n_bands,)
        Group of each band, 0, 1, ...; -1 for a band that stays.

    Returns
    -------
    ndarray, shape (n, n_groups)
        In the unit of the estimate; NaN where the spectrum has a gap.

    Raises
    ------
    AttributionError
        If shapes do not belong together, or there is no group.

    References
    ----------
    Zeiler and Fergus (2014), Visualizing and understanding convolutional networks, ECCV.
    """
    from captum.attr import FeatureAblation  # type: ignore[import-untyped]

    _check(spectra, replacement, more)
    n_groups = int(groups.max(initial=-1)) + 1
    if groups.shape != spectra.shape[1:] or n_groups == 0:
        raise AttributionError(
            f"occlusion: wanted a group for each of {spectra.shape[1]} bands, one of them 0 or more; found "
            f"shape {groups.shape}, highest group {n_groups - 1}."
        )
    found = np.full((len(spectra), n_groups), np.nan)
    seen = np.flatnonzero(np.isfinite(spectra + replacement).all(axis=1))
    first = [int(np.flatnonzero(groups == group)[0]) for group in range(n_groups)]
    stays = groups < 0
    for rows in _parts(seen, rows_at_once):
        # A band that stays is replaced by itself, so that its group, the last, says nothing.
        by = np.where(stays, spectra[rows], replacement[rows])
        mask = torch.from_numpy(np.where(stays, n_groups, groups))[None]
        changed = FeatureAblation(function).attribute(
            _tensor(spectra[rows]),
            baselines=_tensor(by),
            additional_forward_args=tuple(tensor[rows] for tensor in more) or None,
            feature_mask=mask,
        )
        found[rows] = changed.detach().numpy()[:, first]
    return found


def path_gradients(
    function: Callable[[Tensor], Tensor],
    spectra: FloatArray,
    reference: FloatArray,
    weights: FloatArray,
    *,
    steps: int = 8,
) -> FloatArray:
    """Integrated gradients of many linear heads on one set of columns, whose path is walked once.

    Parameters
    ----------
    function : callable
        Spectra, tensor (row, n_bands), to columns, tensor (row, n_columns), such as an embedding.
    spectra, reference : ndarray, shape (n, n_bands)
        Without gaps. All rows times `steps` are held at once: give a few dozen.
    weights : ndarray, shape (n_heads, n_columns)
        Each head is the sum of the columns under its weights.
    steps : int
        Of Gauss-Legendre quadrature; eight are exact to three digits for a smooth function.

    Returns
    -------
    ndarray, shape (n_heads, n, n_bands)
    """
    path, share = _path(spectra, reference, steps)
    inputs = _tensor(path.reshape(-1, spectra.shape[1])).requires_grad_()
    columns = function(inputs)
    heads = torch.from_numpy(np.ascontiguousarray(weights)).to(columns.dtype)
    found = np.empty((len(weights), *spectra.shape))
    for number, head in enumerate(heads):
        (gradient,) = torch.autograd.grad((columns @ head).sum(), inputs, retain_graph=True)
        slope = np.einsum("nsb,s->nb", gradient.numpy().reshape(path.shape), share)
        found[number] = (spectra - reference) * slope
    return found


def path_differences(
    function: Callable[[FloatArray], FloatArray],
    spectra: FloatArray,
    reference: FloatArray,
    *,
    steps: int = 64,
) -> FloatArray:
    """Integrated gradients of each column of a numpy formula, by central differences.

    Parameters
    ----------
    function : callable
        As for `differentiable`.
    spectra, reference : ndarray, shape (n, n_bands)
        Without gaps.
    steps : int
        Many, as formulas that are clipped or jump are not smooth.

    Returns
    -------
    ndarray, shape (n_columns, n, n_bands)
    """
    rows = []
    for one, other in zip(spectra, reference, strict=True):
        path, share = _path(one[None], other[None], steps)
        slope = [np.einsum("sbc,s->cb", change, share) for change in _changes(function, path[0], STEP)]
        rows.append((one - other) * np.concatenate(slope, axis=1))
    return np.stack(rows, axis=1)


def _path(spectra: FloatArray, reference: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Points between two spectra, shape (n, step, n_bands), and their shares in an integral."""
    node, share = np.polynomial.legendre.leggauss(steps)
    return reference[:, None] + ((node + 1) / 2)[:, None] * (spectra - reference)[:, None], share / 2


def differentiable(
    function: Callable[[FloatArray], FloatArray], step: float = STEP
) -> Callable[[Tensor], Tensor]:
    """A numpy formula of spectra as a torch function whose gradient is made of central differences.

    Parameters
    ----------
    function : callable
        Spectra (row, n_bands) to columns (row, n_columns), finite: whatever it clips or fills in belongs to
        it, so that what lies in a clipped tail has no slope.
    step : float
        Half the width of a difference, sr^-1.

    Examples
    --------
    >>> twice = differentiable(lambda spectra: 2 * spectra)
    >>> spectra = torch.tensor([[0.1, 0.2]], dtype=torch.float64, requires_grad=True)
    >>> twice(spectra).sum().backward()
    >>> print(spectra.grad.numpy().round(6))
    [[2. 2.]]
    """

    def applied(spectra: Tensor) -> Tensor:
        columns: Tensor = _Differences.apply(spectra, function, step)  # type: ignore[no-untyped-call]
        return columns

    return applied


class _Differences(torch.autograd.Function):
    """See `differentiable`."""

    @staticmethod
    def forward(
        ctx: Any, spectra: Tensor, function: Callable[[FloatArray], FloatArray], step: float
    ) -> Tensor:
        ctx.save_for_backward(spectra)
        ctx.function, ctx.step = function, step
        return _tensor(function(spectra.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (saved,) = ctx.saved_tensors
        upstream = gradients[0].numpy()  # (row, column)
        slope = [
            np.einsum("rbc,rc->rb", change, upstream)
            for change in _changes(ctx.function, saved.detach().numpy(), ctx.step)
        ]
        return torch.from_numpy(np.concatenate(slope, axis=1)), None, None


def _changes(
    function: Callable[[FloatArray], FloatArray], spectra: FloatArray, step: float
) -> Iterator[FloatArray]:
    """Central differences of columns by a few bands at a time, each (row, band, column)."""
    n_rows, n_bands = spectra.shape
    for bands in np.array_split(np.arange(n_bands), -(-n_bands // BANDS_AT_ONCE)):
        shift = np.zeros((bands.size, n_bands))
        shift[np.arange(bands.size), bands] = step
        up, down = (function((spectra[:, None] + sign * shift).reshape(-1, n_bands)) for sign in (1, -1))
        yield (up - down).reshape(n_rows, bands.size, -1) / (2 * step)


def _integral(
    function: SpectralFunction, spectra: FloatArray, reference: FloatArray, more: list[Tensor], steps: int
) -> FloatArray:
    """Attributions of rows that fit into one call, shape (row, n_bands)."""
    from captum.attr import IntegratedGradients

    found = IntegratedGradients(function).attribute(
        _tensor(spectra),
        baselines=_tensor(reference),
        additional_forward_args=tuple(more) or None,
        n_steps=steps,
    )
    return np.asarray(found.detach().numpy())


def _parts(rows: npt.NDArray[np.intp], size: int) -> list[npt.NDArray[np.intp]]:
    return [rows[start : start + size] for start in range(0, rows.size, size)]


def _tensor(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def _check(spectra: FloatArray, other: FloatArray, more: Sequence[Tensor]) -> None:
    if spectra.ndim != 2 or other.shape != spectra.shape or any(len(one) != len(spectra) for one in more):
        raise AttributionError(
            f"attribution: wanted spectra and references of one shape (n, n_bands) and as many rows of all "
            f"else; found {spectra.shape}, {other.shape} and {[tuple(one.shape) for one in more]}."
        )
