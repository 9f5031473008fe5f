"""How the archive packs the variables of a level-2 file, version 3.1, and what it says of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BAND_CONSTANTS", "FILL", "PACKING", "RRS_RANGE", "VARIABLES", "Packing"]

FloatArray = npt.NDArray[np.floating[Any]]
Attrs = Mapping[str, Any]

FILL = -32767


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Numbers as int16: value = offset + scale * count."""

    scale: float
    offset: float
    valid: tuple[int, int]

    def counts(self, values: FloatArray) -> npt.NDArray[np.int16]:
        """Nearest counts; those beyond the range become its ends, NaN the fill value."""
        steps = np.rint((values - self.offset) / self.scale)
        missing = np.isnan(steps)
        steps[missing] = FILL
        return np.where(missing, FILL, np.clip(steps, FILL + 1, -FILL)).astype(np.int16)


PACKING = {
    "Rrs": Packing(scale=2e-6, offset=0.05, valid=(-30000, 25000)),
    "Rrs_unc": Packing(scale=5e-8, offset=0.0015, valid=(-30000, 30000)),
    "aot_865": Packing(scale=1e-4, offset=0.0, valid=(0, 30000)),
    "angstrom": Packing(scale=1e-4, offset=2.5, valid=(-30000, 5000)),
    "nflh": Packing(scale=8.5e-5, offset=2.25, valid=(-26471, 32353)),
}
RRS_RANGE = tuple(PACKING["Rrs"].offset + PACKING["Rrs"].scale * count for count in (FILL + 1, -FILL))
"""Lowest and highest Rrs that a file can hold, sr^-1: -0.015532 is the flat floor of spectra in the blue."""

VARIABLES: dict[str, Attrs] = {
    "Rrs": {
        "long_name": "Remote sensing reflectance",
        "units": "sr^-1",
        "standard_name": (
            "surface_ratio_of_upwelling_radiance_emerging_from_sea_water_to_downwelling_radiative_flux_in_air"
        ),
    },
    "Rrs_unc": {"long_name": "Uncertainty in remote sensing reflectance", "units": "sr^-1"},
    "aot_865": {
        "long_name": "Aerosol optical thickness at 865 nm",
        "standard_name": "atmosphere_optical_thickness_due_to_ambient_aerosol",
    },
    "angstrom": {
        "long_name": "Aerosol Angstrom exponent, 443 to 865 nm",
        "standard_name": "aerosol_angstrom_exponent",
    },
    "avw": {
        "long_name": "Apparent Visible Wavelength",
        "units": "nm",
        "reference": "Vandermeulen et al. (2020), Remote Sensing of Environment 247, 111900",
    },
    "nflh": {
        "long_name": "Normalized Fluorescence Line Height",
        "units": "W m^-2 um^-1 sr^-1",
        "reference": "Behrenfeld et al. (2009), Biogeosciences 6, 779-794, doi:10.5194/bg-6-779-2009",
    },
}

_ROUGH = {"reference": "a rough formula of spectm's simulation"}
BAND_CONSTANTS: dict[str, tuple[tuple[float, float], Attrs]] = {  # limits that the archive states, attributes
    "vcal_gain": ((0, 2), {"long_name": "Vicarious Calibration Gain"}),
    "vcal_offset": (
        (0, 10),
        {"long_name": "Vicarious Calibration Offset", "units": "mW cm^-2 um^-1 sr^-1"},
    ),
    "F0": ((0, 2500), {"long_name": "Mean Solar Flux", "units": "W m^-2 um^-1"}),
    "aw": (
        (1e-4, 5),
        {
            "long_name": "Band-pass averaged absorption coefficient for seawater",
            "units": "m^-1",
            "standard_name": "volume_absorption_coefficient_of_radiative_flux_in_sea_water",
            "reference": "pure water as in spectm's forward model",
        },
    ),
    "bbw": (
        (5e-6, 1),
        {
            "long_name": "Band-pass averaged backscattering coefficient for seawater",
            "units": "m^-1",
            "standard_name": "volume_backwards_scattering_coefficient_of_radiative_flux_in_sea_water",
            "reference": "pure water as in spectm's forward model",
            "comment": "Pure water, without salt.",
        },
    ),
    "k_oz": ((0, 0.1), {"long_name": "Ozone Absorption cross-sections", "units": "cm^-1", **_ROUGH}),
    "k_no2": (
        (0, 0.1),
        {"long_name": "NO2 Absorption cross-sections", "units": "cm^2 molecule^-1", **_ROUGH},
    ),
    "Tau_r": ((0, 0.5), {"long_name": "Rayleigh Optical Thickness", **_ROUGH}),
}
