"""From what a water holds to its colour: the bio-optical forward model of Rrs.

Absorption and backscattering come from `spectm.spectral.constituents`; here they become reflectance above
water, with chlorophyll fluorescence and floating scum, in the bands of a sensor. `docs/optics.md` explains
and cites every formula and constant.
"""

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spectm.errors import OpticsError
from spectm.spectral.constituents import (
    Water,
    absorption,
    algal_absorption,
    backscattering,
    check_nm,
    column,
    cyano_absorption,
    gaussian,
    pure_water,
)
from spectm.spectral.sensors import Sensor, check_wavelength, interpolation

__all__ = [
    "RELATIONS",
    "Relation",
    "Response",
    "Water",
    "absorption",
    "backscattering",
    "band_average",
    "band_reflectance",
    "fluorescence",
    "pure_water",
    "reflectance",
    "scum_reflectance",
]

FloatArray = npt.NDArray[np.floating[Any]]
Relation = Literal["gordon-1988", "lee-2002"]
Response = Literal["gaussian", "square"]

RELATIONS: dict[str, tuple[float, float]] = {
    "gordon-1988": (0.0949, 0.0794),  # Gordon et al. (1988), J. Geophys. Res. 93
    "lee-2002": (0.089, 0.125),  # Lee, Carder and Arnone (2002), Appl. Opt. 41, 5755
}
"""Factors of u and of u^2, u = bb / (a + bb), in the reflectance just below the surface."""

# Up through the surface: Rrs = 0.52 rrs / (1 - 1.7 rrs), Lee, Carder and Arnone (2002).
TRANSMISSION, INTERNAL_REFLECTION = 0.52, 1.7

# Emission of chlorophyll-a, nm. What excites it, nm, and the mean cosine of light in the water: our choice.
FLUORESCENCE_NM, FLUORESCENCE_WIDTH_NM = 685.0, 25.0
EXCITATION_STEP_NM = 10.0
EXCITATION_NM = np.arange(405.0, 680.0, EXCITATION_STEP_NM)  # middles of steps from 400 to 680 nm
MEAN_COSINE = 0.8

# Scum, an optically thick layer of cyanobacteria: absorption over scattering of the bare layer and of its
# pigments at 675 nm, mg phycocyanin for each mg chlorophyll-a. Our choice, for a reflectance of 0.05 in the
# red and 0.4 beyond, as floating vegetation has it.
SCUM_BACKGROUND, SCUM_PIGMENT, SCUM_PHYCOCYANIN = 0.4, 8.5, 0.5

# How far a Gaussian band looks to either side, in widths (there it sees 0.2 % of its peak), and the number of
# pieces that a band is cut in.
GAUSSIAN_REACH, N_PIECES = 1.5, 101
# Spectra computed at a time, so that they fit in a processor's cache.
CHUNK = 512


def reflectance(water: Water, wavelength: npt.ArrayLike, *, relation: Relation = "lee-2002") -> FloatArray:
    r"""Rrs at single wavelengths, sr^-1.

    Parameters
    ----------
    water : Water
        Fields of shape (...).
    wavelength : array_like, shape (n,)
        nm.
    relation : str
        How reflectance follows from absorption and backscattering, one of `RELATIONS`.

    Returns
    -------
    ndarray, shape (..., n)
        NaN where a field of the water is NaN.

    Raises
    ------
    OpticsError
        If a wavelength lies outside the table of pure water, or `relation` is unknown.

    Notes
    -----
    :math:`u = b_b / (a + b_b)`, :math:`r_{rs} = g_0 u + g_1 u^2`,
    :math:`R_{water} = 0.52\, r_{rs} / (1 - 1.7\, r_{rs}) + R_{fluorescence}`,
    :math:`R_{rs} = (1 - f_{scum}) R_{water} + f_{scum} R_{scum}`

    References
    ----------
    Lee, Carder and Arnone (2002), Appl. Opt. 41, 5755.

    Examples
    --------
    >>> turbid = Water(chlorophyll=12.0, cdom_440=0.4, minerals=8.0)
    >>> print(reflectance(turbid, [443.0, 555.0, 665.0]).round(4))
    [0.0051 0.0156 0.0064]
    """
    if relation not in RELATIONS:
        raise OpticsError(f"no relation named {relation!r}; known: {', '.join(RELATIONS)}")
    linear, quadratic = RELATIONS[relation]
    nm = check_nm(wavelength)
    a, bb = absorption(water, nm), backscattering(water, nm)  # (..., n)
    u = bb / (a + bb)
    below = u * (linear + quadratic * u)
    Rrs = TRANSMISSION * below / (1 - INTERNAL_REFLECTION * below) + _fluorescence(water, nm, a + bb)
    scum = column(water.scum_fraction)
    return (1 - scum) * Rrs + scum * scum_reflectance(nm)


def fluorescence(water: Water, wavelength: npt.ArrayLike) -> FloatArray:
    r"""What chlorophyll fluorescence of eukaryotic algae adds to Rrs, sr^-1.

    Most chlorophyll of cyanobacteria sits in the photosystem that hardly fluoresces: theirs is left out.

    Parameters
    ----------
    water : Water
        Fields of shape (...).
    wavelength : array_like, shape (n,)
        nm.

    Returns
    -------
    ndarray, shape (..., n)

    Raises
    ------
    OpticsError
        If a wavelength lies outside the table of pure water.

    Notes
    -----
    What algae absorb at all depths is given out in all directions and weakened on its way up:

    :math:`0.52\, \phi\, h(\lambda) / (4\pi \bar\mu)
    \int a_{algae}(e)\, (e/\lambda)\, de \,/\, (\bar K + a(\lambda) + b_b(\lambda))`

    h is a Gaussian of area 1; e, the wavelength of excitation, runs from 400 to 680 nm; :math:`\bar K` is the
    mean of :math:`(a + b_b) / \bar\mu` there that makes the formula exact at 685 nm. Irradiance counts as the
    same at all wavelengths.
    """
    nm = check_nm(wavelength)
    return _fluorescence(water, nm, absorption(water, nm) + backscattering(water, nm))


def _fluorescence(water: Water, nm: FloatArray, way_up: FloatArray) -> FloatArray:
    """As `fluorescence`, given a + bb at the wavelengths of emission, shape (..., n)."""
    absorbed = algal_absorption(water, EXCITATION_NM) * EXCITATION_NM  # (..., n_excitation)
    way_down = (absorption(water, EXCITATION_NM) + backscattering(water, EXCITATION_NM)) / MEAN_COSINE
    at_peak = absorption(water, FLUORESCENCE_NM) + backscattering(water, FLUORESCENCE_NM)  # (..., 1)
    energy = absorbed.sum(axis=-1, keepdims=True)
    seen = (absorbed / (way_down + at_peak)).sum(axis=-1, keepdims=True)
    mean_way_down = energy / np.where(seen == 0, 1.0, seen) - at_peak
    height = np.sqrt(4 * np.log(2) / np.pi) / FLUORESCENCE_WIDTH_NM  # nm^-1, for an area of 1
    emitted = height * gaussian(nm, FLUORESCENCE_NM, FLUORESCENCE_WIDTH_NM) / nm
    share = TRANSMISSION * column(water.fluorescence_yield) / (4 * np.pi * MEAN_COSINE) * EXCITATION_STEP_NM
    return share * energy * emitted / np.where(seen == 0, 1.0, mean_way_down + way_up)


def scum_reflectance(wavelength: npt.ArrayLike) -> FloatArray:
    r"""Rrs of a surface covered by a thick scum of cyanobacteria, sr^-1, shape (n,).

    Dark at 620 and 675 nm, bright in the near infrared, as floating vegetation.

    Notes
    -----
    :math:`R_{rs} = R / \pi`, :math:`R = 1 + q - \sqrt{q^2 + 2q}`, where q, absorption over scattering, is a
    constant plus the pigments of cyanobacteria.

    References
    ----------
    Kubelka and Munk (1931), Z. Tech. Phys. 12.
    """
    nm = check_nm(wavelength)
    layer = Water(cyano_chlorophyll=1.0, phycocyanin=SCUM_PHYCOCYANIN)
    q = SCUM_BACKGROUND + SCUM_PIGMENT * cyano_absorption(layer, nm) / cyano_absorption(layer, 675.0)
    return (1 + q - np.sqrt(q * (q + 2))) / np.pi


def band_reflectance(
    water: Water, sensor: Sensor, *, response: Response = "gaussian", relation: Relation = "lee-2002"
) -> FloatArray:
    """Rrs in the bands of a sensor, sr^-1: spectra at 1 nm, averaged over the width of each band.

    Parameters
    ----------
    water : Water
        Fields of shape (...).
    sensor : Sensor
        Its bands must look at 335 to 910 nm only.
    response : str
        Shape of the bands, "gaussian" or "square".
    relation : str
        As in `reflectance`.

    Returns
    -------
    ndarray, shape (..., n_bands)
        NaN where a field of the water is NaN.

    Raises
    ------
    OpticsError
        If a band looks further out, or `response` or `relation` is unknown.

    Examples
    --------
    >>> from spectm.spectral.sensors import named_sensor
    >>> band_reflectance(Water(minerals=[2.0, 8.0]), named_sensor("oci-aop-v3")).shape
    (2, 172)
    """
    reach = _reach(response) * sensor.width_nm
    first, last = np.floor((sensor.wavelength - reach).min()), np.ceil((sensor.wavelength + reach).max())
    grid = np.arange(first, last + 1)
    weights = _band_weights(grid, sensor, response)
    needed = weights.any(axis=1)  # bands may be few and far between
    grid, weights = grid[needed], weights[needed]
    Rrs = np.empty((math.prod(water.shape), sensor.n_bands))
    for rows, part in _parts(water):
        Rrs[rows] = reflectance(part, grid, relation=relation) @ weights
    return Rrs.reshape(*water.shape, sensor.n_bands)


def _parts(water: Water) -> Iterator[tuple[slice, Water]]:
    """Waters of at most `CHUNK` spectra each, and their places among all spectra in one row."""
    values = {field.name: np.asarray(getattr(water, field.name)) for field in fields(water)}
    row = {name: np.broadcast_to(array, water.shape).ravel() for name, array in values.items() if array.ndim}
    for start in range(0, math.prod(water.shape), CHUNK):
        rows = slice(start, start + CHUNK)
        yield rows, replace(water, **{name: array[rows] for name, array in row.items()})


def band_average(
    spectrum: FloatArray, wavelength: FloatArray, sensor: Sensor, *, response: Response = "gaussian"
) -> FloatArray:
    """Fine spectrum averaged over the width of each band of a sensor.

    Parameters
    ----------
    spectrum : ndarray, shape (..., n)
        Values in any unit, taken as straight from one wavelength to the next.
    wavelength : ndarray, shape (n,)
        nm, increasing, as far as the bands look: half a width to either side of a square one's centre, 1.5
        widths of a Gaussian one's.
    sensor : Sensor
    response : str
        Shape of the bands, "gaussian" or "square".

    Returns
    -------
    ndarray, shape (..., n_bands)

    Raises
    ------
    OpticsError
        If the bands look further than the spectrum reaches, or `response` is unknown.
    SensorError
        If shapes do not fit or wavelengths do not increase.

    Examples
    --------
    >>> red = Sensor(name="red", wavelength=np.array([665.0]), width_nm=np.array([10.0]))
    >>> step, wavelength = np.array([0.0, 0.0, 1.0, 1.0]), np.array([650.0, 664.9, 665.1, 680.0])
    >>> print(band_average(step, wavelength, red).round(3))
    [0.5]
    """
    spectrum, wavelength = np.asarray(spectrum), check_wavelength(spectrum, wavelength)
    return spectrum @ _band_weights(wavelength, sensor, response)


def _reach(response: str) -> float:
    """How far a band looks to either side of its centre, in widths."""
    if response not in ("gaussian", "square"):
        raise OpticsError(f"no band response named {response!r}; known: gaussian, square")
    return GAUSSIAN_REACH if response == "gaussian" else 0.5


def _band_weights(wavelength: FloatArray, sensor: Sensor, response: str) -> FloatArray:
    """Share of each wavelength in each band, shape (n, n_bands).

    A band is a row of pieces, symmetric about its centre; each gives its weight to the wavelengths beside it.
    """
    edges = np.linspace(-1, 1, N_PIECES + 1) * _reach(response)
    middle = (edges[1:] + edges[:-1]) / 2  # in widths
    weight = gaussian(middle, 0.0, 1.0) if response == "gaussian" else np.ones(N_PIECES)
    target = sensor.wavelength + sensor.width_nm * middle[:, None]  # (n_pieces, n_bands)
    if target.min() < wavelength[0] or target.max() > wavelength[-1]:
        raise OpticsError(
            f"the bands of {sensor.name!r} look from {target.min():.1f} to {target.max():.1f} nm, but the "
            f"spectrum reaches only from {wavelength[0]:g} to {wavelength[-1]:g} nm"
        )
    left, right, share = interpolation(wavelength, target)
    band = np.broadcast_to(np.arange(sensor.n_bands), target.shape)
    each = np.broadcast_to(weight[:, None] / weight.sum(), target.shape)
    weights = np.zeros((wavelength.size, sensor.n_bands))
    np.add.at(weights, (left, band), each * (1 - share))
    np.add.at(weights, (right, band), each * share)
    return weights
