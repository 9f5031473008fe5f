import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectm.errors import SensorError
from spectm.spectral.sensors import named_sensor
from spectm.spectral.windows import Window, WindowSet, guard_bands, named_windows, window_set_names


@pytest.mark.parametrize(
    ("sensor", "half_width_nm", "n_bands", "counts"),
    [
        ("oci-sfrefl-v3", 0, 24, [6, 9, 9]),
        ("oci-sfrefl-v3", 4, 28, [7, 11, 10]),  # of 122, as the paper prints
        ("oci-aop-v3", 0, 46, [11, 17, 18]),
    ],
)
def test_the_papers_windows_hold_this_many_bands(
    sensor: str, half_width_nm: float, n_bands: int, counts: list[int]
) -> None:
    wavelength = named_sensor(sensor).wavelength
    windows = named_windows("cyanobacteria", half_width_nm=half_width_nm)
    assert windows.bands(wavelength).sum() == n_bands
    assert np.bincount(windows.band_windows(wavelength) + 1)[1:].tolist() == counts


def test_the_papers_windows_are_these() -> None:
    windows = named_windows("cyanobacteria")
    assert [(w.low_nm, w.high_nm) for w in windows.windows] == [(615, 640), (660, 680), (695, 720)]
    assert windows.half_width_nm == 0
    assert "2603.22097" in windows.source


def test_the_other_sets_on_surface_reflectance() -> None:
    wavelength = named_sensor("oci-sfrefl-v3").wavelength
    edge = wavelength[named_windows("vegetation-red-edge").bands(wavelength)]
    assert edge[[0, -1]].tolist() == [665, 739]
    snow = named_windows("snow-minerals")
    assert wavelength[snow.bands(wavelength)][-2:].tolist() == [1038, 1618]
    assert (snow.band_windows(wavelength) == 3).sum() == 0  # OCI has no band near 2200 nm


@pytest.mark.parametrize("name", window_set_names())
def test_every_window_has_a_dated_source(name: str) -> None:
    for window in named_windows(name).windows:
        assert re.search(r"\((19|20)\d\d\), ", window.source), window


def test_limits_belong_to_the_window() -> None:
    mine = WindowSet.from_limits("mine", [(615, 640), (660, 680)])
    wavelength = np.array([614.9, 615.0, 640.0, 640.1, 650.0, 660.0, 680.0, 681.0])
    assert mine.bands(wavelength).tolist() == [False, True, True, False, False, True, True, False]
    assert mine.band_windows(wavelength).tolist() == [-1, 0, 0, -1, -1, 1, 1, -1]


def test_limits_hold_for_float32_band_lists() -> None:
    mine = WindowSet.from_limits("mine", [(615.1, 640.2)])
    assert mine.bands(np.array([615.1, 640.2], dtype=np.float32)).all()


def test_overlap_by_widening_goes_to_the_nearer_window() -> None:
    mine = WindowSet.from_limits("mine", [(615, 640), (660, 680)], half_width_nm=15)
    assert mine.band_windows(np.array([649.0, 650.0, 651.0])).tolist() == [0, 0, 1]


def test_guards_on_the_aop_list() -> None:
    wavelength = named_sensor("oci-aop-v3").wavelength
    windows = named_windows("cyanobacteria")
    at_5 = wavelength[guard_bands(windows, wavelength, 5)].tolist()
    assert at_5 == [613, 641, 642, 643, 645, 655, 656, 657, 658, 681, 682, 683, 684, 691, 692, 693, 694]
    # 10 nm merge the windows: above 588 nm nothing stays visible
    hidden = windows.bands(wavelength) | guard_bands(windows, wavelength, 10)
    assert wavelength[~hidden].max() == 588
    assert not guard_bands(windows, wavelength, 0).any()


def test_guards_start_at_the_widened_edge() -> None:
    mine = WindowSet.from_limits("mine", [(615, 640)], half_width_nm=0.7)
    wavelength = np.array([614.1, 614.2, 614.3, 640.7, 640.8, 640.9])
    assert guard_bands(mine, wavelength, 0.1).tolist() == [False, True, False, False, True, False]


@pytest.mark.slow
@given(
    wavelength=hnp.arrays(np.float64, 30, elements=st.floats(580, 740)),
    half_width=st.integers(0, 20),
    guard=st.integers(0, 20),
)
def test_inside_guard_and_outside_share_out_the_bands(
    wavelength: np.ndarray, half_width: int, guard: int
) -> None:
    windows = named_windows("cyanobacteria", half_width_nm=half_width)
    inside, guards = windows.bands(wavelength), guard_bands(windows, wavelength, guard)
    assert not (inside & guards).any()
    assert (inside == (windows.band_windows(wavelength) >= 0)).all()
    wider = named_windows("cyanobacteria", half_width_nm=half_width + guard)
    assert ((inside | guards) == wider.bands(wavelength)).all()
    for nm, found in zip(wavelength.round(3), inside, strict=True):  # the slow, obvious version
        assert found == any(
            low - half_width <= nm <= high + half_width for low, high in [(615, 640), (660, 680), (695, 720)]
        )


def test_mistakes_are_explained() -> None:
    with pytest.raises(SensorError, match=r"no window set named 'cyano'; did you mean 'cyanobacteria'\?"):
        named_windows("cyano")
    with pytest.raises(SensorError, match="no window set named 'zzz'; Known: cyanobacteria"):
        named_windows("zzz")
    with pytest.raises(SensorError, match="half_width_nm must be 0 or more, found -1"):
        named_windows("cyanobacteria", half_width_nm=-1)
    with pytest.raises(SensorError, match="holds no window"):
        WindowSet(name="none", windows=())
    with pytest.raises(SensorError, match="runs from 640 to 615 nm"):
        Window(name="turned", low_nm=640, high_nm=615)
    with pytest.raises(SensorError, match="runs from nan to 615 nm"):
        Window(name="nan", low_nm=float("nan"), high_nm=615)
    with pytest.raises(SensorError, match="660-680 nm comes after 615-670 nm; sort the windows and join"):
        WindowSet.from_limits("mine", [(615, 670), (660, 680)])
    with pytest.raises(SensorError, match="guard_nm must be 0 or more, found -2"):
        guard_bands(named_windows("cyanobacteria"), np.array([600.0]), -2)
