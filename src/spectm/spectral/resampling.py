"""Spectra of one band list as another sensor would have them, and back; what was done goes on record."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import SensorError
from spectm.spectral.optics import band_average
from spectm.spectral.sensors import Sensor, interpolation, resample

__all__ = ["INTERPOLATED", "beyond_reach", "held_at_ends", "resampling_record", "seen_through", "within"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

INTERPOLATED = "linear interpolation between neighbouring bands"
"""What `spectm.spectral.sensors.resample` does, in words."""


def within(sensor: Sensor, source: Sensor) -> Sensor:
    """The bands of a sensor that lie wholly within the band centres of another, edges included.

    A band no wider than those of the source needs its centre there.

    Raises
    ------
    SensorError
        If there is none.

    Examples
    --------
    >>> from spectm.spectral.sensors import named_sensor
    >>> within(named_sensor("sentinel-2-msi"), named_sensor("oci-aop-v3")).wavelength
    array([443., 490., 560., 665., 705.])
    """
    half = np.where(_wider(sensor, source), sensor.width_nm / 2, 0.0)
    first, last = source.wavelength[[0, -1]]
    kept = (sensor.wavelength - half >= first) & (sensor.wavelength + half <= last)
    if not kept.any():
        raise SensorError(
            f"wanted bands of {sensor.name} between {first:g} and {last:g} nm, as {source.name} has them; "
            f"found none of {sensor.n_bands} from {sensor.wavelength[0]:g} nm. Give another band list."
        )
    return replace(sensor, wavelength=sensor.wavelength[kept], width_nm=sensor.width_nm[kept])


def seen_through(spectrum: FloatArray, source: Sensor, sensor: Sensor) -> FloatArray:
    """Spectra as a sensor of other bands would have them.

    Parameters
    ----------
    spectrum : ndarray, shape (..., n_bands)
        In the bands of `source`, any unit. NaN means missing.
    source : Sensor
        Its bands; taken as straight from one to the next.
    sensor : Sensor
        All of whose bands lie `within` the source.

    Returns
    -------
    ndarray, shape (..., sensor.n_bands)
        The mean over the width of each band; where it is no wider than those of the source, the value at its
        centre. A spectrum that lacks a band has NaN in all wider ones.

    Raises
    ------
    SensorError, OpticsError
        If shapes do not fit, or a band lies beyond the source.

    Notes
    -----
    The width that the source's own bands have is in the result, too: a band of 10 nm made of bands of 5 nm
    looks a little further than its edges. Errors of the source's bands are averaged along with the rest.
    """
    spectrum = np.asarray(spectrum)
    found = resample(spectrum, source.wavelength, sensor.wavelength)
    wide = _wider(sensor, source)
    if wide.any():
        part = replace(sensor, wavelength=sensor.wavelength[wide], width_nm=sensor.width_nm[wide])
        found[..., wide] = band_average(spectrum, source.wavelength, part, response="square")
    return found


def held_at_ends(spectrum: FloatArray, wavelength: FloatArray, target: FloatArray) -> FloatArray:
    """`resample`, and beyond its reach the value of the nearest band: a guess, for studies alone."""
    at = np.clip(target, wavelength[0], wavelength[-1])
    beyond = beyond_reach(wavelength, target)
    return resample(spectrum, wavelength, np.where(beyond, at, target))


def beyond_reach(wavelength: FloatArray, target: FloatArray) -> BoolArray:
    """Which wavelengths `resample` refuses to extrapolate to, shape (n_targets,)."""
    return np.isnan(interpolation(np.asarray(wavelength, dtype=np.float64), np.asarray(target))[2])


def resampling_record(
    wavelength: FloatArray, target: FloatArray, *, source: str, method: str = INTERPOLATED
) -> dict[str, Any]:
    """Return what a file says of resampled spectra: how, from which bands of what, and to which.

    Examples
    --------
    >>> resampling_record(np.array([500.0, 520.0]), np.array([510.0]), source="drone.nc")["to_nm"]
    [510.0]
    """
    return {
        "method": method,
        "source": source,
        "from_nm": np.asarray(wavelength, dtype=np.float64).tolist(),
        "to_nm": np.asarray(target, dtype=np.float64).tolist(),
    }


def _wider(sensor: Sensor, source: Sensor) -> BoolArray:
    """Which bands are wider than those of the source."""
    return np.asarray(sensor.width_nm > source.width_nm.max())
