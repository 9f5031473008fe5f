"""Quality flags of a simulated swath, each for its reason: geometry, land, cloud, or the spectrum."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["FLAGS", "Conditions", "bits", "chlorophyll_by_ratio", "seen_flags", "spectral_flags", "unseen"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

# The table of version 3.1, in the order of bits.
# fmt: off
FLAGS = (
    "ATMFAIL", "LAND", "PRODWARN", "HIGLINT", "HILT", "HISATZEN", "COASTZ", "SPARE", "STRAYLIGHT",
    "CLDICE", "COCCOLITH", "TURBIDW", "HISOLZEN", "SPARE", "LOWLW", "CHLFAIL", "NAVWARN", "ABSAER",
    "SPARE", "MAXAERITER", "MODGLINT", "CHLWARN", "ATMWARN", "OPSHAL", "SEAICE", "NAVFAIL", "FILTER",
    "SPARE", "BOWTIEDEL", "HIPOL", "PRODFAIL", "SPARE",
)
# fmt: on

# As the archive's own files state them: sunzen, satzen, hipol and glint_thresh of processing_control.
MAX_SUN_ZENITH, MAX_VIEW_ZENITH, MAX_POLARISATION, MAX_GLINT = 75.0, 60.0, 0.5, 0.005
# Our choices from here on. Glint that is worth a correction; cloud that hides the water, as a share of a
# pixel; and how far its stray light reaches, lines and pixels.
SOME_GLINT, CLOUDY, STRAY_REACH = 1e-4, 0.3, (2, 3)
LAND_SHARE = 0.5
# What is brighter than this at 865 nm, pi Rrs, counts as cloud: cloud_thresh of NASA's processing, less some
# 0.008 that aerosol adds.
BRIGHT_865 = 0.027 - 0.008
# Skylight is less polarised than a single scattering: many scatterings, and bright water below.
DEPOLARISATION = 0.7

TURBID_670 = 0.0012  # sr-1, the usual threshold of NASA's processing
DARK_555 = 0.0008  # sr-1, nlwmin = 0.15 of processing_control over the sun's irradiance there
# What files call valid, sr-1; what lies outside is kept, with a warning.
VALID = (-0.01, 0.1)
WARN_CHLOROPHYLL, FAIL_CHLOROPHYLL = 100.0, 1000.0  # mg m-3
# Water so bright at the end of the spectrum that water and aerosol do not come apart in 10 rounds, sr-1.
ENDLESS_719 = 0.0085
# As bright and as white as coccoliths are: sr-1 at 443 and 555 nm, and the ratio of the two.
WHITE_443, WHITE_555, WHITE_RATIO = 0.006, 0.010, (0.45, 1.3)
# NASA's OC4, version 6: factors of the powers of log10 of the ratio.
OC4 = (0.3272, -2.9940, 2.7218, -1.2259, -0.5683)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How pixels are seen, shape (n_lines, n_pixels) each.

    Parameters
    ----------
    land : ndarray
        Share of a pixel, 0 to 1.
    cloud : ndarray
        0 clear to 1 overcast.
    sun_zenith, view_zenith, relative_azimuth : ndarray
        Degrees.
    glint : ndarray
        From `spectm.simulation.orbit.glint`, sr^-1.
    bright : ndarray of bool
        True where the surface is taken for a cloud: scum, or some shore in the pixel.
    """

    land: FloatArray
    cloud: FloatArray
    sun_zenith: FloatArray
    view_zenith: FloatArray
    relative_azimuth: FloatArray
    glint: FloatArray
    bright: BoolArray


def seen_flags(conditions: Conditions) -> dict[str, BoolArray]:
    """Flags that follow from where sun, satellite, land and clouds are, by name."""
    cloudy: BoolArray = (conditions.cloud >= CLOUDY) | conditions.bright
    land: BoolArray = conditions.land >= LAND_SHARE
    reach: BoolArray = np.ones([2 * side + 1 for side in STRAY_REACH], dtype=bool)
    return {
        "LAND": land,
        "COASTZ": ~land,  # the whole lake is shallower than 30 m
        "CLDICE": cloudy & ~land,
        "STRAYLIGHT": np.asarray(ndimage.binary_dilation(cloudy, reach)) & ~cloudy,
        "HIGLINT": conditions.glint > MAX_GLINT,
        "MODGLINT": (conditions.glint > SOME_GLINT) & (conditions.glint <= MAX_GLINT),
        "HISATZEN": conditions.view_zenith > MAX_VIEW_ZENITH,
        "HISOLZEN": conditions.sun_zenith > MAX_SUN_ZENITH,
        "HIPOL": _polarisation(conditions) > MAX_POLARISATION,
        "PRODFAIL": unseen(conditions),
    }


def unseen(conditions: Conditions) -> BoolArray:
    """True where there is no reflectance: land and clouds are masked."""
    return (conditions.land >= LAND_SHARE) | (conditions.cloud >= CLOUDY) | conditions.bright


def spectral_flags(Rrs: FloatArray, wavelength: FloatArray) -> dict[str, BoolArray]:
    """Flags that follow from spectra as they were retrieved, by name, shape (n,) each.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        sr^-1.
    wavelength : ndarray, shape (n_bands,)
        nm.
    """
    at = {nm: Rrs[:, int(np.abs(wavelength - nm).argmin())] for nm in (443, 555, 670, 719)}
    chlorophyll = chlorophyll_by_ratio(Rrs, wavelength)
    ratio = at[443] / np.maximum(at[555], 1e-9)
    return {
        "PRODWARN": np.any((Rrs < VALID[0]) | (Rrs > VALID[1]), axis=1),
        "COCCOLITH": (at[443] > WHITE_443)
        & (at[555] > WHITE_555)
        & (ratio > WHITE_RATIO[0])
        & (ratio < WHITE_RATIO[1]),
        "TURBIDW": at[670] > TURBID_670,
        "LOWLW": at[555] < DARK_555,
        "CHLFAIL": ~(chlorophyll <= FAIL_CHLOROPHYLL),
        "CHLWARN": chlorophyll > WARN_CHLOROPHYLL,
        "MAXAERITER": at[719] > ENDLESS_719,
    }


def chlorophyll_by_ratio(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Chlorophyll by the ratio of blue to green that the archive uses, mg m^-3, shape (n,).

    It was made for the sea: over turbid water it only tells how green the water is. NaN where blue or green
    are not above zero.
    """
    bands = [int(np.abs(wavelength - nm).argmin()) for nm in (443, 490, 510, 555)]
    blue, green = Rrs[:, bands[:3]].max(axis=1), Rrs[:, bands[3]]
    positive = (blue > 0) & (green > 0)
    power = np.log10(np.where(positive, blue, np.nan) / np.where(positive, green, np.nan))
    # Far from any water the polynomial turns; there it fails.
    power = np.where(np.abs(power) < 1.2, power, np.nan)
    return 10 ** np.polynomial.polynomial.polyval(power, OC4)


def bits(flags: Mapping[str, BoolArray]) -> npt.NDArray[np.int32]:
    """Flags as the bits of int32, shape of each; of a name that occurs several times the first bit is set."""
    shape = np.broadcast_shapes(*(mask.shape for mask in flags.values()))
    packed = np.zeros(shape, dtype=np.uint32)
    for name, mask in flags.items():
        packed |= mask.astype(np.uint32) << np.uint32(FLAGS.index(name))
    return packed.view(np.int32)


def _polarisation(conditions: Conditions) -> FloatArray:
    """Degree to which light that the air scatters once is polarised, with an allowance for the rest."""
    sun, seen, azimuth = (
        np.deg2rad(angle)
        for angle in (conditions.sun_zenith, conditions.view_zenith, conditions.relative_azimuth)
    )
    cosine = -np.cos(sun) * np.cos(seen) - np.sin(sun) * np.sin(seen) * np.cos(azimuth)
    return DEPOLARISATION * (1 - cosine**2) / (1 + cosine**2)
