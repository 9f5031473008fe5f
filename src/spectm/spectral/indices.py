"""Spectral indices of water colour: pure functions of (Rrs, wavelength).

Every index takes `Rrs`, shape (..., n_bands), sr^-1, and `wavelength`, shape (n_bands,), nm, increasing, and
returns shape (...), float64. Three rules hold for all of them:

- A band is the one nearest to the wanted wavelength, within 5 nm; true centres enter the formulas. Where
  there is none, `BandNotFoundError` names index and band. `INDICES` lists units, bands and references.
- NaN in a band that an index needs gives NaN; NaN elsewhere does not matter.
- A ratio is NaN where its denominator is not above `MIN_DENOMINATOR`. Numerators may be negative.

On surface reflectance (SFREFL, `rhos`) ratios and AVW mean the same, line heights come out in its units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import BandNotFoundError
from spectm.spectral.sensors import check_wavelength, interpolation, nearest_band

__all__ = [
    "INDICES",
    "MIN_DENOMINATOR",
    "Index",
    "avw",
    "checked_index",
    "chl_2band",
    "cicyano",
    "cyanobacteria_index",
    "flh",
    "line_height",
    "mci",
    "ndci",
    "pc_ratio",
    "pc_ratio_650_625",
    "pci",
    "ss_665",
    "supported_indices",
]

FloatArray = npt.NDArray[np.floating[Any]]
IndexFunction = Callable[[FloatArray, FloatArray], FloatArray]

# sr^-1. OCI's own uncertainty at 650-709 nm over clear water (Rrs_unc of OC_AOP files) is 1e-4 to 2e-4: below
# 1e-4 not even the sign of a reflectance is known. Turbid lakes have 1e-3 and more there.
MIN_DENOMINATOR = 1e-4

# nm. OCI has no bands between 588 and 613 nm (586 and 615 nm in SFREFL); a wider hole hides too much.
MAX_GAP_NM = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One spectral index: its function, and what a table says about it.

    `needs_nm` holds the wanted band centres, nm; where `continuous`, the ends of a range needed throughout.
    """

    name: str
    function: IndexFunction
    units: str
    needs_nm: tuple[float, ...]
    reference: str
    continuous: bool = False


INDICES: dict[str, Index] = {}
"""Every index by name, in the order of definition."""


def _index(
    *, units: str, needs_nm: tuple[float, ...], reference: str, continuous: bool = False
) -> Callable[[IndexFunction], IndexFunction]:
    """Enter a function in `INDICES`."""

    def register(function: IndexFunction) -> IndexFunction:
        name = function.__name__
        INDICES[name] = checked_index(
            name, function, units=units, needs_nm=needs_nm, reference=reference, continuous=continuous
        )
        return INDICES[name].function

    return register


def checked_index(
    name: str,
    function: IndexFunction,
    *,
    units: str,
    needs_nm: Sequence[float],
    reference: str,
    continuous: bool = False,
) -> Index:
    """An index whose function checks its input, and whose errors say which index lacks which band."""
    needs = tuple(float(nm) for nm in needs_nm)

    @wraps(function, updated=())  # a callable object has no __dict__ where it has slots
    def checked(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
        Rrs, wavelength = np.asarray(Rrs), check_wavelength(Rrs, wavelength)
        try:
            for nm in needs:
                nearest_band(wavelength, nm)
            return function(Rrs, wavelength)
        except BandNotFoundError as error:
            raise BandNotFoundError(f"{name}: {error}") from None

    return Index(
        name=name,
        function=checked,
        units=units,
        needs_nm=needs,
        reference=reference,
        continuous=continuous,
    )


def supported_indices(
    wavelength: FloatArray, indices: Mapping[str, Index] | None = None
) -> dict[str, str | None]:
    """Which indices a band list supports.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.
    indices : mapping of str to Index, optional
        Those asked about; all of `INDICES` without it.

    Returns
    -------
    dict of str to str or None
        For every name: None where it is supported, else which band is missing.

    Raises
    ------
    SensorError
        If the band centres do not increase.

    Examples
    --------
    >>> supported_indices(np.array([620.0, 665.0, 681.0]))["ss_665"] is None
    True
    """
    wavelength = np.asarray(wavelength, dtype=np.float64)
    nothing = np.full(wavelength.shape, np.nan)
    reasons: dict[str, str | None] = {}
    for name, index in (INDICES if indices is None else indices).items():
        try:  # the function itself is asked, so that this answer and a later call can't differ
            index.function(nothing, wavelength)
            reasons[name] = None
        except BandNotFoundError as error:
            reasons[name] = str(error).removeprefix(f"{name}: ")
    return reasons


def line_height(
    Rrs: FloatArray, wavelength: FloatArray, *, left_nm: float, centre_nm: float, right_nm: float
) -> FloatArray:
    r"""Height of a peak above the straight line between two shoulder bands.

    Parameters
    ----------
    Rrs : ndarray, shape (..., n_bands)
        Remote-sensing reflectance, sr^-1. NaN means missing and passes through.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.
    left_nm, centre_nm, right_nm : float
        Wanted centres, nm. The nearest bands are used, and their true centres enter the formula.

    Returns
    -------
    ndarray, shape (...)
        Line height, sr^-1; negative where the centre lies below the line.

    Raises
    ------
    BandNotFoundError
        If the nearest band is more than 5 nm from a wanted centre, or the three are not three different bands
        from short to long.

    Notes
    -----
    :math:`h = R_c - R_l - (R_r - R_l)(\lambda_c - \lambda_l)/(\lambda_r - \lambda_l)`

    References
    ----------
    Wynne et al. (2008), Int. J. Remote Sens. 29, 3665-3672, doi:10.1080/01431160802007640.

    Examples
    --------
    >>> Rrs, wavelength = np.array([0.002, 0.007, 0.004]), np.array([660.0, 680.0, 700.0])
    >>> print(line_height(Rrs, wavelength, left_nm=660, centre_nm=680, right_nm=700).round(4))
    0.004
    """
    Rrs, wavelength = np.asarray(Rrs), np.asarray(wavelength, dtype=np.float64)
    left, centre, right = (nearest_band(wavelength, nm) for nm in (left_nm, centre_nm, right_nm))
    if not wavelength[left] < wavelength[centre] < wavelength[right]:
        found = ", ".join(f"{wavelength[band]:g}" for band in (left, centre, right))
        raise BandNotFoundError(
            f"a line height needs three different bands near {left_nm:g}, {centre_nm:g} and {right_nm:g} nm, "
            f"from short to long; the nearest are {found} nm"
        )
    ramp = (wavelength[centre] - wavelength[left]) / (wavelength[right] - wavelength[left])
    return Rrs[..., centre] - Rrs[..., left] - (Rrs[..., right] - Rrs[..., left]) * ramp


def _at(Rrs: FloatArray, wavelength: FloatArray, nm: float) -> FloatArray:
    """Reflectance in the band nearest to a wavelength, shape (...), float64."""
    return np.asarray(Rrs[..., nearest_band(wavelength, nm)], dtype=np.float64)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, NaN where the denominator is not above `MIN_DENOMINATOR`."""
    return numerator / np.where(denominator > MIN_DENOMINATOR, denominator, np.nan)


@_index(
    units="1",
    needs_nm=(665, 708),
    reference="Mishra and Mishra (2012), Remote Sens. Environ. 117, 394-406",
)
def ndci(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Normalised difference chlorophyll index, (R708 - R665) / (R708 + R665), dimensionless.

    NaN where the sum is not above `MIN_DENOMINATOR`. Outside -1 to 1 one of the two reflectances is negative.

    References
    ----------
    Mishra and Mishra (2012), Remote Sens. Environ. 117, 394-406.

    Examples
    --------
    >>> print(ndci(np.array([0.002, 0.006]), np.array([665.0, 708.0])).round(4))
    0.5
    """
    red, edge = _at(Rrs, wavelength, 665), _at(Rrs, wavelength, 708)
    return _ratio(edge - red, edge + red)


@_index(
    units="sr^-1",
    needs_nm=(665, 681, 709),
    reference="Wynne et al. (2008), Int. J. Remote Sens. 29, 3665-3672",
)
def cyanobacteria_index(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Cyanobacteria index CI, -SS(681; 665, 709), sr^-1; positive where the spectrum dips at 681 nm.

    References
    ----------
    Wynne et al. (2008), Int. J. Remote Sens. 29, 3665-3672, doi:10.1080/01431160802007640.
    """
    return -line_height(Rrs, wavelength, left_nm=665, centre_nm=681, right_nm=709)


@_index(
    units="sr^-1",
    needs_nm=(620, 665, 681, 709),
    reference="Lunetta et al. (2015), Remote Sens. Environ. 157, 24-34",
)
def cicyano(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """CI of blooms with phycocyanin, sr^-1: CI where both it and SS(665; 620, 681) are positive, else 0.

    NaN, not 0, where any of the four bands is NaN.

    References
    ----------
    Lunetta et al. (2015), Remote Sens. Environ. 157, 24-34.
    """
    ci = -line_height(Rrs, wavelength, left_nm=665, centre_nm=681, right_nm=709)
    shape = line_height(Rrs, wavelength, left_nm=620, centre_nm=665, right_nm=681)
    return np.where(np.isnan(ci) | np.isnan(shape), np.nan, np.where((shape > 0) & (ci > 0), ci, 0.0))


@_index(
    units="sr^-1",
    needs_nm=(665, 681, 709),
    reference="Gower et al. (1999), Int. J. Remote Sens. 20, 1771-1786",
)
def flh(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Fluorescence line height by shape, SS(681; 665, 709), sr^-1: `cyanobacteria_index`, sign turned.

    In reflectance, not in radiance, so not comparable with the `nflh` of standard products.

    References
    ----------
    Gower et al. (1999), Int. J. Remote Sens. 20, 1771-1786.
    """
    return line_height(Rrs, wavelength, left_nm=665, centre_nm=681, right_nm=709)


@_index(
    units="sr^-1",
    needs_nm=(681, 709, 753),
    reference="Gower et al. (2005), Int. J. Remote Sens. 26, 2005-2012",
)
def mci(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Maximum chlorophyll index, SS(709; 681, 753), sr^-1.

    Rrs products of OCI end at 719 nm and can't give it.

    References
    ----------
    Gower et al. (2005), Int. J. Remote Sens. 26, 2005-2012.
    """
    return line_height(Rrs, wavelength, left_nm=681, centre_nm=709, right_nm=753)


@_index(
    units="sr^-1",
    needs_nm=(560, 620, 665),
    reference="Qi et al. (2014), Remote Sens. Environ. 154, 298-317",
)
def pci(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Phycocyanin index, sr^-1: how far R620 lies below the line from R560 to R665.

    References
    ----------
    Qi et al. (2014), Remote Sens. Environ. 154, 298-317.
    """
    return -line_height(Rrs, wavelength, left_nm=560, centre_nm=620, right_nm=665)


@_index(
    units="1",
    needs_nm=(620, 709),
    reference="Simis et al. (2005), Limnol. Oceanogr. 50, 237-245",
)
def pc_ratio(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Phycocyanin ratio R709 / R620, dimensionless; NaN where R620 is not above `MIN_DENOMINATOR`.

    References
    ----------
    Simis et al. (2005), Limnol. Oceanogr. 50, 237-245.
    """
    return _ratio(_at(Rrs, wavelength, 709), _at(Rrs, wavelength, 620))


@_index(
    units="1",
    needs_nm=(625, 650),
    reference="Schalles and Yacobi (2000), Arch. Hydrobiol. 55, 153-168",
)
def pc_ratio_650_625(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Phycocyanin ratio R650 / R625, dimensionless; NaN where R625 is not above `MIN_DENOMINATOR`.

    References
    ----------
    Schalles and Yacobi (2000), Arch. Hydrobiol. 55, 153-168.
    """
    return _ratio(_at(Rrs, wavelength, 650), _at(Rrs, wavelength, 625))


@_index(
    units="1",
    needs_nm=(665, 708),
    reference="Gilerson et al. (2010), Opt. Express 18, 24109-24125",
)
def chl_2band(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Two-band chlorophyll ratio R708 / R665, dimensionless; NaN where R665 is not above `MIN_DENOMINATOR`.

    References
    ----------
    Gilerson et al. (2010), Opt. Express 18, 24109-24125.
    """
    return _ratio(_at(Rrs, wavelength, 708), _at(Rrs, wavelength, 665))


@_index(
    units="nm",
    needs_nm=(400, 700),
    continuous=True,
    reference="Vandermeulen et al. (2020), Remote Sens. Environ. 247, 111900",
)
def avw(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    r"""Apparent visible wavelength, nm: the harmonic mean of 400-700 nm weighted by reflectance.

    Interpolated to 1 nm first, since bands that crowd in the red would pull the mean there.
    NaN where the mean reflectance of 400-700 nm is not above `MIN_DENOMINATOR`, or where negative reflectance
    takes the result out of 400-700 nm. Needs bands that reach both ends and leave no hole above `MAX_GAP_NM`.

    Notes
    -----
    :math:`\sum_i R_i / \sum_i (R_i / \lambda_i)`, :math:`\lambda_i = 400, 401, \ldots, 700` nm

    References
    ----------
    Vandermeulen et al. (2020), Remote Sens. Environ. 247, 111900.

    Examples
    --------
    >>> print(avw(np.full(31, 0.005), np.arange(400.0, 701.0, 10.0)).round(1))
    536.0
    """
    grid = np.arange(400.0, 701.0)
    left, right, share = interpolation(wavelength, grid)
    if np.isnan(share).any():
        raise BandNotFoundError(
            f"bands from {wavelength[0]:g} to {wavelength[-1]:g} nm do not reach "
            f"{grid[np.isnan(share)][0]:g} nm within half a band"
        )
    gap = wavelength[right] - wavelength[left]
    if gap.max() > MAX_GAP_NM:
        hole = int(gap.argmax())
        raise BandNotFoundError(
            f"no band between {wavelength[left[hole]]:g} and {wavelength[right[hole]]:g} nm; interpolation "
            f"to 1 nm bridges {MAX_GAP_NM:g} nm at most"
        )
    # Interpolation is linear in Rrs, so both sums are weighted sums over bands, without an array of 301.
    weights = np.zeros((wavelength.size, grid.size))  # (n_bands, n_grid)
    points = np.arange(grid.size)
    np.add.at(weights, (left, points), 1 - share)
    np.add.at(weights, (right, points), share)
    used = np.any(weights != 0, axis=1)  # NaN in a band outside does not matter
    total = Rrs[..., used] @ weights[used].sum(axis=1)
    by_wavelength = Rrs[..., used] @ (weights[used] @ (1 / grid))
    defined = (
        (total > grid.size * MIN_DENOMINATOR)
        & (700 * by_wavelength >= total)
        & (400 * by_wavelength <= total)
    )
    return total / np.where(defined, by_wavelength, np.nan)


@_index(
    units="sr^-1",
    needs_nm=(620, 665, 681),
    reference="Lunetta et al. (2015), Remote Sens. Environ. 157, 24-34",
)
def ss_665(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Spectral shape SS(665; 620, 681), sr^-1; positive where phycocyanin darkens 620 nm.

    References
    ----------
    Lunetta et al. (2015), Remote Sens. Environ. 157, 24-34.
    """
    return line_height(Rrs, wavelength, left_nm=620, centre_nm=665, right_nm=681)
