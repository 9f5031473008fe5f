"""What a water holds, and how that absorbs light and scatters it back.

`docs/optics.md` explains and cites every formula and constant. Wavelengths are in nm, in any order;
absorption and backscattering are in m^-1.
"""

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import OpticsError

__all__ = ["Water", "absorption", "algal_absorption", "backscattering", "cyano_absorption", "pure_water"]

FloatArray = npt.NDArray[np.floating[Any]]

# nm. The table of pure water runs from 345 to 900 nm. Bands at its ends look a little beyond: so far the last
# value is kept, further out there is an error.
EDGE_NM = 10.0

# Pigment bands. Centre and full width at half maximum, nm: Chase et al. (2013), Methods Oceanogr. 7; but the
# two in the ultraviolet, which hold absorption where it is at 400 nm, that at 501 nm, for the carotenoids of
# cyanobacteria (myxoxanthophyll), and the two red ones are our choice.
# Algae: height at 1 mg m^-3, m^2 mg^-1, and the power of concentration by which it falls (packaging). Fitted
# here to Bricaud et al. (1998), J. Geophys. Res. 103, 31033, 400-684 nm, 0.5-25 mg m^-3: within 9 %.
# Cyanobacteria: height relative to the red band, without phycobilins; fitted to real spectra.
_BANDS = np.array(
    [
        # centre, width, algae: height, power, cyanobacteria: height
        (350, 50.0, 0.02272, 0.311, 0.9),
        (380, 40.0, 0.00878, 0.319, 0.4),
        (406, 37.68, 0.02108, 0.307, 1.98),
        (434, 28.26, 0.02907, 0.365, 1.55),
        (453, 28.26, 0.01726, 0.405, 0.74),
        (470, 30.615, 0.01650, 0.431, 0.68),
        (492, 37.68, 0.01968, 0.381, 0.96),
        (501, 24.0, 0.0, 0.0, 0.19),
        (523, 32.97, 0.00830, 0.152, 0.36),
        (550, 32.97, 0.00506, 0.034, 0.235),
        (584, 37.68, 0.00486, 0.127, 0.27),
        (617, 30.615, 0.00462, 0.150, 0.20),
        (638, 25.905, 0.00494, 0.129, 0.16),
        (660, 25.905, 0.00600, 0.212, 0.17),
        (676.5, 24.4, 0.01578, 0.166, 0.0),
        (679, 26.0, 0.0, 0.0, 1.0),
    ]
)
PIGMENT_NM, PIGMENT_WIDTH_NM, ALGAL_HEIGHT, ALGAL_POWER, CYANO_HEIGHT = _BANDS.T

# mg m^-3. Bricaud et al. had no denser water; beyond, packaging is taken to grow no further.
MAX_PACKED_CHLOROPHYLL = 25.0

# Phycocyanin and, beside it, allophycocyanin: centre and full width, nm; relative height, our choice.
PHYCOCYANIN_NM, PHYCOCYANIN_WIDTH_NM = 620.0, 45.0
ALLOPHYCOCYANIN_NM, ALLOPHYCOCYANIN_WIDTH_NM, ALLOPHYCOCYANIN_HEIGHT = 650.0, 30.0, 0.34
# Phycoerythrin (peak at 565 nm) and phycoerythrocyanin (575 nm) as one band; fitted to real spectra.
PHYCOERYTHRIN_NM, PHYCOERYTHRIN_WIDTH_NM = 574.5, 30.5


SHARES = frozenset({"scum_fraction", "mineral_absorption_floor"})  # fields of a water that end at 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Water:
    """What a water holds, and the optical properties of each part. Without arguments: pure water.

    Every field is a number or an array; arrays broadcast against each other. NaN means missing and gives NaN.
    They are kept as float64, read-only.

    Parameters
    ----------
    chlorophyll : array_like
        Chlorophyll-a of eukaryotic algae, mg m^-3 (= ug/L).
    cyano_chlorophyll : array_like
        Chlorophyll-a of cyanobacteria, mg m^-3. A laboratory's chlorophyll is the sum of the two.
    phycocyanin : array_like
        mg m^-3; allophycocyanin comes with it.
    cdom_440 : array_like
        Absorption by coloured dissolved organic matter at 440 nm, m^-1.
    minerals : array_like
        Non-algal particles, dry weight, g m^-3 (= mg/L).
    scum_fraction : array_like
        Share of the surface under floating scum, 0 to 1.
    cdom_slope, mineral_slope : array_like
        Exponential slope of absorption by CDOM and by non-algal particles, nm^-1.
    mineral_absorption_440 : array_like
        Absorption by non-algal particles at 440 nm, m^2 g^-1.
    mineral_absorption_floor : array_like
        Share of that which does not fall with wavelength, 0 to 1.
    mineral_backscattering_555 : array_like
        Backscattering by non-algal particles at 555 nm, m^2 g^-1.
    algal_absorption_factor : array_like
        Absorption by eukaryotic algae relative to the mean of Bricaud et al. (1998).
    algal_backscattering_555 : array_like
        Backscattering by eukaryotic algae at 555 nm, m^2 mg^-1.
    cyano_absorption_675 : array_like
        Absorption by cyanobacteria, without their phycobilins, at 675 nm, m^2 mg^-1 of their chlorophyll-a.
    cyano_phycoerythrin_571 : array_like
        Absorption by phycoerythrin and its like at 571 nm, m^2 mg^-1 of the chlorophyll-a of cyanobacteria.
    cyano_backscattering_510 : array_like
        Backscattering by cyanobacteria at 510 nm, m^2 mg^-1 of their chlorophyll-a; large with gas vacuoles.
    phycocyanin_absorption_620 : array_like
        Absorption by phycobilins at 620 nm, m^2 mg^-1 of phycocyanin.
    particle_exponent : array_like
        Backscattering by all particles falls with wavelength to this power.
    fluorescence_yield : array_like
        Photons emitted for each photon absorbed by eukaryotic algae.

    Raises
    ------
    OpticsError
        If a field is negative or infinite, a share above 1, or the shapes do not broadcast.

    Examples
    --------
    >>> Water(chlorophyll=[5.0, 20.0], minerals=8.0).shape
    (2,)
    """

    chlorophyll: npt.ArrayLike = 0.0
    cyano_chlorophyll: npt.ArrayLike = 0.0
    phycocyanin: npt.ArrayLike = 0.0
    cdom_440: npt.ArrayLike = 0.0
    minerals: npt.ArrayLike = 0.0
    scum_fraction: npt.ArrayLike = 0.0

    # Means of Babin et al. (2003), J. Geophys. Res. 108, doi:10.1029/2001JC000882.
    cdom_slope: npt.ArrayLike = 0.0176
    mineral_slope: npt.ArrayLike = 0.0123
    # Defaults of WASI: Gege (2004), Comput. Geosci. 30, doi:10.1016/j.cageo.2004.03.005.
    mineral_absorption_440: npt.ArrayLike = 0.041
    mineral_absorption_floor: npt.ArrayLike = 0.0
    mineral_backscattering_555: npt.ArrayLike = 0.0086
    algal_absorption_factor: npt.ArrayLike = 1.0
    algal_backscattering_555: npt.ArrayLike = 0.0010  # WASI
    # Our choice among what is found for the red peak of chlorophyll-a, 0.014-0.023.
    cyano_absorption_675: npt.ArrayLike = 0.015
    cyano_phycoerythrin_571: npt.ArrayLike = 0.003  # fitted to real spectra
    # Lower end of 0.0039-0.0072, cells with gas vacuoles: Matthews and Bernard (2013), Biogeosciences 10.
    cyano_backscattering_510: npt.ArrayLike = 0.0039
    phycocyanin_absorption_620: npt.ArrayLike = 0.0095  # Simis et al. (2005), Limnol. Oceanogr. 50, 237-245
    particle_exponent: npt.ArrayLike = 0.5  # our choice in 0.1-1.2, Doxaran et al. (2007), Opt. Express 15
    fluorescence_yield: npt.ArrayLike = 0.01  # Gilerson et al. (2007), Opt. Express 15

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)  # a copy, so that it can be locked
            limit = 1.0 if field.name in SHARES else np.finfo(np.float64).max
            wrong = (values < 0) | (values > limit)  # false for NaN: missing is not wrong
            if wrong.any():
                wanted = "from 0 to 1" if limit == 1 else "0 or more, and finite"
                raise OpticsError(
                    f"{field.name} must be {wanted}, found {values[wrong][0]:g}; give NaN where it is missing"
                )
            values.setflags(write=False)
            object.__setattr__(self, field.name, values)
        try:
            np.broadcast_shapes(*self._shapes().values())
        except ValueError:
            found = ", ".join(f"{name} {shape}" for name, shape in self._shapes().items() if shape)
            raise OpticsError(f"the fields of a water must broadcast to one shape, found {found}") from None

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each field."""
        return {field.name: np.shape(getattr(self, field.name)) for field in fields(self)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that all fields broadcast to."""
        return np.broadcast_shapes(*self._shapes().values())


def column(values: npt.ArrayLike) -> FloatArray:
    """Field of a `Water` with an axis for wavelength, shape (..., 1)."""
    return np.asarray(values, dtype=np.float64)[..., None]


def gaussian(nm: FloatArray, centre: npt.ArrayLike, width: npt.ArrayLike) -> FloatArray:
    """Gaussian of height 1, by its full width at half maximum."""
    return np.exp(-4 * np.log(2) * ((nm - np.asarray(centre)) / np.asarray(width)) ** 2)


def check_nm(wavelength: npt.ArrayLike) -> FloatArray:
    """Wavelengths as float64, shape (n,), once they are known to be those of the table of pure water."""
    nm = np.atleast_1d(np.asarray(wavelength, dtype=np.float64))
    low, high = _pure_water_table()[[0, -1], 0]
    outside = ~((nm >= low - EDGE_NM) & (nm <= high + EDGE_NM))  # written so that NaN is outside too
    if nm.ndim != 1 or nm.size == 0 or outside.any():
        found = f"{nm[outside][0]:g} nm" if outside.any() else f"shape {nm.shape}"
        raise OpticsError(
            f"pure water is known from {low:g} to {high:g} nm and kept constant for {EDGE_NM:g} nm beyond; "
            f"expected a list of such wavelengths, found {found}. Leave out other bands"
        )
    return nm


@cache
def _pure_water_table() -> FloatArray:
    """Wavelength, absorption and backscattering of pure water, shape (n, 3)."""
    text = files("spectm.spectral").joinpath("tables", "pure_water.csv").read_text(encoding="utf-8")
    table = np.loadtxt([line for line in text.splitlines() if line[:1].isdigit()], delimiter=",")
    table.setflags(write=False)
    return table


def pure_water(wavelength: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Absorption and backscattering of pure fresh water, m^-1.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        nm. From 345 to 900 nm a table is interpolated, smoothly; to `EDGE_NM` beyond, its last value is kept.

    Returns
    -------
    absorption, backscattering : ndarray, shape (n,)

    Raises
    ------
    OpticsError
        If a wavelength lies further out.

    References
    ----------
    Absorption: IOCCG Ocean Optics Protocols 1 (2018), table 1.1 (Pope and Fry 1997 and others).
    Backscattering: Morel (1974), 0.00111 (wavelength / 500 nm)^-4.32.

    Examples
    --------
    >>> a, bb = pure_water([550.0])
    >>> print(a, bb.round(6))
    [0.0565] [0.000735]
    """
    nm, table = check_nm(wavelength), _pure_water_table()
    return _smooth_between(nm, table[:, 0], table[:, 1]), _smooth_between(nm, table[:, 0], table[:, 2])


def _smooth_between(nm: FloatArray, rows: FloatArray, values: FloatArray) -> FloatArray:
    """Rows of a table joined by cubics (slopes: those of the rows beside), without kinks; ends are kept."""
    at = np.clip(nm, rows[0], rows[-1])
    left = np.clip(np.searchsorted(rows, at, side="right") - 1, 0, rows.size - 2)
    step = rows[left + 1] - rows[left]
    t, slope = (at - rows[left]) / step, np.gradient(values, rows)
    rise = values[left + 1] - values[left]
    start, end = slope[left] * step - rise, rise - slope[left + 1] * step
    return np.asarray(values[left] + t * rise + t * (1 - t) * ((1 - t) * start + t * end))


def _pigment_bands(nm: FloatArray) -> FloatArray:
    """Each pigment band with height 1, shape (n_pigment_bands, n)."""
    return gaussian(nm, PIGMENT_NM[:, None], PIGMENT_WIDTH_NM[:, None])


def algal_absorption(water: Water, wavelength: npt.ArrayLike) -> FloatArray:
    r"""Absorption by eukaryotic algae, m^-1, shape (..., n); packed pigment absorbs less for each mg.

    Notes
    -----
    :math:`a = f\, C \sum_k A_k \min(C, C_{max})^{-B_k} G_k(\lambda)`: a sum of Gaussian pigment bands.
    """
    nm = check_nm(wavelength)
    chlorophyll = column(water.chlorophyll)
    packed = np.clip(
        chlorophyll, np.finfo(np.float64).tiny, MAX_PACKED_CHLOROPHYLL
    )  # 0 has no negative power
    height = ALGAL_HEIGHT * np.exp(-ALGAL_POWER * np.log(packed))  # a power, but quicker
    specific = height @ _pigment_bands(nm)  # (..., n)
    return column(water.algal_absorption_factor) * chlorophyll * specific


def cyano_absorption(water: Water, wavelength: npt.ArrayLike) -> FloatArray:
    r"""Absorption by cyanobacteria, m^-1, shape (..., n): chlorophyll-a and carotenoids, phycobilins.

    Notes
    -----
    :math:`a = C_{cyano} (a_{675} P(\lambda) + a_{571} E(\lambda)) + PC\, a_{620} Q(\lambda)`;
    P is 1 at 675 nm, E at 571 nm, Q at 620 nm.
    """
    nm = check_nm(wavelength)
    chlorophyll = column(water.cyano_chlorophyll) * column(water.cyano_absorption_675)
    phycocyanin = column(water.phycocyanin) * column(water.phycocyanin_absorption_620)
    phycoerythrin = column(water.cyano_chlorophyll) * column(water.cyano_phycoerythrin_571)
    green = phycoerythrin * _phycoerythrin_shape(nm)
    return chlorophyll * _cyano_shape(nm) + green + phycocyanin * _phycobilin_shape(nm)


def _cyano_shape(nm: FloatArray) -> FloatArray:
    """Absorption by cyanobacteria without their phycobilins, shape (n,); 1 at 675 nm."""
    return CYANO_HEIGHT @ _pigment_bands(nm) / (CYANO_HEIGHT @ _pigment_bands(np.array([675.0])))


def _phycoerythrin_shape(nm: FloatArray) -> FloatArray:
    """Absorption by phycoerythrin and its like, shape (n,); 1 at 571 nm, a little below its peak."""
    at = np.append(nm, 571.0)
    band = gaussian(at, PHYCOERYTHRIN_NM, PHYCOERYTHRIN_WIDTH_NM)
    return band[:-1] / band[-1]


def _phycobilin_shape(nm: FloatArray) -> FloatArray:
    """Absorption by phycocyanin and allophycocyanin together, shape (n,); 1 at 620 nm."""

    def both(at: FloatArray) -> FloatArray:
        beside = gaussian(at, ALLOPHYCOCYANIN_NM, ALLOPHYCOCYANIN_WIDTH_NM)
        return gaussian(at, PHYCOCYANIN_NM, PHYCOCYANIN_WIDTH_NM) + ALLOPHYCOCYANIN_HEIGHT * beside

    return both(nm) / both(np.array([PHYCOCYANIN_NM]))


def absorption(water: Water, wavelength: npt.ArrayLike) -> FloatArray:
    """Absorption by the water and all that is in it, m^-1.

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

    Examples
    --------
    >>> print(absorption(Water(cdom_440=0.5), [440.0, 700.0]).round(3))
    [0.506 0.629]
    """
    nm = check_nm(wavelength)
    total = np.broadcast_to(pure_water(nm)[0], (*water.shape, nm.size)).copy()
    total += algal_absorption(water, nm)
    total += cyano_absorption(water, nm)
    total += column(water.cdom_440) * np.exp(-column(water.cdom_slope) * (nm - 440))
    minerals = column(water.minerals) * column(water.mineral_absorption_440)
    floor = column(water.mineral_absorption_floor)
    total += minerals * (floor + (1 - floor) * np.exp(-column(water.mineral_slope) * (nm - 440)))
    return total


def backscattering(water: Water, wavelength: npt.ArrayLike) -> FloatArray:
    """Backscattering by the water and all particles in it, m^-1.

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

    Examples
    --------
    >>> print(backscattering(Water(minerals=10.0), [555.0]).round(4))
    [0.0867]
    """
    nm = check_nm(wavelength)
    exponent = column(water.particle_exponent)
    particles = column(water.minerals) * column(water.mineral_backscattering_555)
    particles = particles + column(water.chlorophyll) * column(water.algal_backscattering_555)
    cyano = column(water.cyano_chlorophyll) * column(water.cyano_backscattering_510)
    particles = particles + cyano * (510 / 555) ** exponent  # all of it at 555 nm, (..., 1)
    total = np.broadcast_to(pure_water(nm)[1], (*water.shape, nm.size)).copy()
    total += particles * np.exp(exponent * np.log(555 / nm))
    return total
