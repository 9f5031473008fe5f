"""Where bands of PACE's imager truly look: files round their centres to whole nanometres."""

from dataclasses import replace
from functools import cache

import numpy as np

from spectm.spectral.sensors import Sensor, named_sensor

__all__ = ["seen_bands"]

# Two detectors that are read at even steps of pixels: their dispersion is smooth. Polynomials of the step,
# lowest power first, nm, found from the 172 whole numbers alone: those that come nearest to all of them.
BLUE_CENTRES = (345.837955, 2.46967303, -1.52756839e-5, 3.16048634e-6)
RED_CENTRES = (612.661644, 1.22955238, 1.47290590e-4)
BLUE_STEPS = np.arange(98.0)
# Every second step up to 640 nm; bands at 716 and 718 nm are not delivered.
RED_STEPS = np.concatenate([np.arange(0.0, 22, 2), np.arange(22.0, 83), [84.0, 86.0]])


@cache
def seen_bands() -> Sensor:
    """The bands of level-2 files with centres before they were rounded, nm.

    A spectrum computed at the rounded centres zigzags from band to band, by up to half a nanometre's worth of
    its slope; real ones do not.

    Examples
    --------
    >>> print(seen_bands().wavelength[:3].round(2))
    [345.84 348.31 350.78]
    """
    polyval = np.polynomial.polynomial.polyval
    centres = np.concatenate([polyval(BLUE_STEPS, BLUE_CENTRES), polyval(RED_STEPS, RED_CENTRES)])
    return replace(named_sensor("oci-aop-v3"), wavelength=centres)
