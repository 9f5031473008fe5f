"""Spectra on other band lists: sums done by hand, and facts that hold for straight lines."""

import numpy as np
import pytest

from spectm.errors import OpticsError, SensorError
from spectm.spectral.resampling import (
    INTERPOLATED,
    beyond_reach,
    held_at_ends,
    resampling_record,
    seen_through,
    within,
)
from spectm.spectral.sensors import Sensor, named_sensor, sensor_names

FINE = Sensor(name="fine", wavelength=np.arange(500.0, 541.0, 10.0), width_nm=np.full(5, 10.0))


def sensor(centres: list[float], widths: list[float]) -> Sensor:
    return Sensor(name="coarse", wavelength=np.array(centres), width_nm=np.array(widths))


def test_bands_that_leave_the_source_are_left_out() -> None:
    # 505 nm at 20 nm looks at 495; 520 at 40 nm ends at both edges; 535 at 5 nm is narrow; 545 is outside.
    found = within(sensor([505, 520, 535, 545], [20, 40, 5, 5]), FINE)
    assert found.wavelength.tolist() == [520, 535]
    assert found.width_nm.tolist() == [40, 5]
    with pytest.raises(SensorError, match=r"wanted bands of coarse between 500 and 540 nm.*found none of 1"):
        within(sensor([800], [5]), FINE)


def test_a_wide_band_is_the_mean_under_it() -> None:
    # A tent of height 1 at 520 nm: its mean over 510-530 nm is 1/2, over 500-540 nm 1/4; at 515 nm it is 1/2.
    tent = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    wide = seen_through(tent, FINE, sensor([515, 520], [5, 20]))
    assert wide == pytest.approx([0.5, 0.5], abs=1e-3)
    assert seen_through(tent, FINE, sensor([520], [40])) == pytest.approx([0.25], abs=1e-3)
    with pytest.raises(OpticsError, match="reaches only from 500 to 540"):
        seen_through(tent, FINE, sensor([505], [20]))


@pytest.mark.parametrize("name", sensor_names())
def test_a_straight_spectrum_stays_straight(name: str) -> None:
    source = named_sensor("oci-aop-v3")
    there = within(named_sensor(name), source)
    found = seen_through(np.stack([0.01 * source.wavelength, np.ones(172)]), source, there)
    assert found[0] == pytest.approx(0.01 * there.wavelength)
    assert found[1] == pytest.approx(1.0)


def test_a_gap_stays_a_gap() -> None:
    gap = np.array([1.0, np.nan, 1.0, 1.0, 1.0])
    narrow = seen_through(gap, FINE, sensor([505, 525], [10, 10]))
    assert np.isnan(narrow[0])
    assert narrow[1] == 1.0


def test_beyond_half_a_step_the_end_is_held() -> None:
    wavelength, target = np.array([500.0, 510.0]), np.array([490.0, 496.0, 514.0, 516.0])
    assert beyond_reach(wavelength, target).tolist() == [True, False, False, True]
    found = held_at_ends(np.array([1.0, 2.0]), wavelength, target)
    assert found == pytest.approx([1.0, 0.6, 2.4, 2.0])  # the line through both, then the nearest band


def test_how_many_bands_lists_have_and_share_with_oci() -> None:
    source = named_sensor("oci-aop-v3")
    found = {
        name: (named_sensor(name).n_bands, within(named_sensor(name), source).n_bands)
        for name in sensor_names()
    }
    # OLCI ends at 1020 nm and MSI at 2190 nm, OCI's water product at 719 nm.
    assert found == {
        "oci-aop-v3": (172, 172),
        "oci-sfrefl-v3": (122, 81),
        "sentinel-3-olci": (21, 11),
        "sentinel-2-msi": (13, 5),
        "even-10nm": (37, 37),
        "even-20nm": (18, 18),
    }


def test_the_record_says_all() -> None:
    record = resampling_record(np.array([500, 520]), np.array([510.0]), source="drone.nc")
    assert record == {"method": INTERPOLATED, "source": "drone.nc", "from_nm": [500, 520], "to_nm": [510]}
