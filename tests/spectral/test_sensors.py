import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectm.errors import BandNotFoundError, SensorError, SpectmError
from spectm.spectral.sensors import Sensor, named_sensor, nearest_band, read_sensor, resample, sensor_names


@pytest.mark.parametrize(
    ("name", "n_bands", "last_nm"), [("oci-aop-v3", 172, 719), ("oci-sfrefl-v3", 122, 2258)]
)
def test_named_sensors_have_the_published_bands(name: str, n_bands: int, last_nm: float) -> None:
    sensor = named_sensor(name)
    assert sensor.n_bands == n_bands
    assert sensor.wavelength[[0, -1]].tolist() == [346, last_nm]
    assert np.all(np.diff(sensor.wavelength) > 0)


def test_sampling_of_the_aop_list() -> None:
    wavelength = named_sensor("oci-aop-v3").wavelength
    assert not np.any((wavelength > 588) & (wavelength < 613))
    assert {588.0, 613.0, 620.0, 665.0, 681.0, 708.0, 709.0} <= set(wavelength.tolist())


def test_widths_are_5_nm_but_for_the_short_wave_infrared() -> None:
    assert set(named_sensor("oci-aop-v3").width_nm) == {5.0}
    sfrefl = named_sensor("oci-sfrefl-v3")
    assert set(sfrefl.width_nm[sfrefl.wavelength < 900]) == {5.0}
    # SWIR_bandpass of OCI L1B files.
    widths = dict(zip(sfrefl.wavelength[-5:].tolist(), sfrefl.width_nm[-5:].tolist(), strict=True))
    assert widths == {1038: 80, 1249: 30, 1618: 75, 2131: 50, 2258: 75}


@pytest.mark.parametrize(
    ("name", "table"), [("oci-aop-v3", "oci_aop_v3_bands.csv"), ("oci-sfrefl-v3", "oci_sfrefl_v3_bands.csv")]
)
def test_tables_equal_the_lists_beside_the_real_data(lake_erie: Path, name: str, table: str) -> None:
    with (lake_erie.parents[1] / "facts" / table).open() as lines:
        wanted = [float(row["wavelength_nm"]) for row in csv.DictReader(lines)]
    assert named_sensor(name).wavelength.tolist() == wanted


def test_unknown_name_suggests_the_nearest() -> None:
    named = ("oci-aop-v3", "oci-sfrefl-v3", "sentinel-3-olci", "sentinel-2-msi", "even-10nm", "even-20nm")
    assert sensor_names() == named
    with pytest.raises(SensorError, match=r"no sensor named 'oci-aop'; did you mean 'oci-aop-v3'\?"):
        named_sensor("oci-aop")
    with pytest.raises(SensorError, match="no sensor named 'zzz'; Known: oci-aop-v3"):
        named_sensor("zzz")


def test_a_sensor_can_not_be_changed_from_outside() -> None:
    wavelength = np.array([500.0, 510.0])
    sensor = Sensor(name="mine", wavelength=wavelength, width_nm=np.array([5.0, 5.0]))
    wavelength[0] = 1.0
    assert sensor.wavelength[0] == 500.0
    with pytest.raises(ValueError, match="read-only"):
        sensor.wavelength[0] = 1.0


@pytest.mark.parametrize(
    ("wavelength", "width", "message"),
    [
        ([500, 490], [5, 5], "500 nm is followed by 490 nm"),
        ([500, 500], [5, 5], "500 nm is followed by 500 nm"),
        ([500, 510], [5], "2 band centres but 1 widths"),
        ([500, np.nan], [5, 5], "wavelength must be a list of positive numbers"),
        ([500, 510], [5, 0], "width_nm must be a list of positive numbers"),
        ([], [], "wavelength must be a list of positive numbers"),
        ([[500]], [[5]], "wavelength must be a list of positive numbers"),
    ],
)
def test_a_sensor_refuses(wavelength: list[float], width: list[float], message: str) -> None:
    with pytest.raises(SensorError, match=message):
        Sensor(name="mine", wavelength=np.array(wavelength), width_nm=np.array(width))


def test_read_sensor_finds_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "drone.csv"
    path.write_text(
        "\ufeff# a drone camera\nwidth_nm, note , wavelength_nm\n10,blue,475\n\n# red\n12.5,,668.5\n,,\n",
        "utf-8",
    )
    sensor = read_sensor(path)
    assert sensor.name == "drone"
    assert sensor.wavelength.tolist() == [475, 668.5]
    assert sensor.width_nm.tolist() == [10, 12.5]
    assert sensor.source == str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "drone.csv is empty"),
        ("# only a comment\n", "drone.csv is empty"),
        ("wavelength_nm,width_nm\n", "drone.csv holds a header but no band"),
        ("wavelength_nm,width\n500,5\n", "drone.csv, line 1: expected one column named width_nm"),
        (
            "# note\nwavelength_nm;width_nm\n500;5\n",
            "drone.csv, line 2: expected one column named wavelength_nm",
        ),
        ("500,5\n510,5\n", "line 1: expected one column named wavelength_nm, found the header 500, 5"),
        ("wavelength_nm,wavelength_nm,width_nm\n", "line 1: expected one column named wavelength_nm"),
        (
            "wavelength_nm,width_nm\n500,5\nred,5\n",
            "drone.csv, line 3, column wavelength_nm: expected a number in nm, found 'red'",
        ),
        (
            "wavelength_nm,width_nm\n500,\n",
            "line 2, column width_nm: expected a number in nm, found an empty cell",
        ),
        (
            "wavelength_nm,width_nm\n500\n",
            "line 2, column width_nm: expected a number in nm, found an empty cell",
        ),
        (
            "wavelength_nm,width_nm\n500,nan\n",
            "line 2, column width_nm: expected a positive number in nm, found nan",
        ),
        ("wavelength_nm,width_nm\n-500,5\n", "line 2, column wavelength_nm: expected a positive number"),
        ("wavelength_nm,width_nm\n500,inf\n", "line 2, column width_nm: expected a positive number"),
        ("wavelength_nm,width_nm\n500,5,5\n", "line 2, column 3: 3 cells under a header of 2"),
        (
            "wavelength_nm,width_nm\n500,5\n# x\n500,6\n",
            "line 4, column wavelength_nm: 500 nm is there twice, after 500 nm on line 2",
        ),
        (
            "wavelength_nm,width_nm\n500,5\n490,5\n",
            "line 3, column wavelength_nm: 490 nm is out of order, after 500 nm on line 2",
        ),
    ],
)
def test_read_sensor_says_where_the_fault_is(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "drone.csv"
    path.write_text(text)
    with pytest.raises(SensorError, match=message):
        read_sensor(path)


def test_read_sensor_refuses_what_is_no_text_file(tmp_path: Path) -> None:
    with pytest.raises(SpectmError, match=r"can't read the band list .*absent.csv: No such file"):
        read_sensor(tmp_path / "absent.csv")
    with pytest.raises(SensorError, match="can't read the band list"):
        read_sensor(tmp_path)
    (tmp_path / "latin.csv").write_bytes("wavelength_nm,width_nm,größe\n".encode("latin-1"))
    with pytest.raises(SensorError, match="is not UTF-8 text"):
        read_sensor(tmp_path / "latin.csv")


def test_midway_between_two_bands_the_shorter_one_wins() -> None:
    sfrefl = named_sensor("oci-sfrefl-v3").wavelength
    assert [sfrefl[nearest_band(sfrefl, nm)] for nm in (708, 753, 681, 709)] == [707, 752, 682, 709]
    assert nearest_band(np.array([709.0, 707.0]), 708) == 1
    assert nearest_band(np.array([600.1, 600.3], dtype=np.float32), 600.2) == 0  # a tie but for float32


def test_nearest_band_has_a_limit() -> None:
    wavelength = np.array([500.0, 510.0])
    assert nearest_band(wavelength, 515.0) == 1
    with pytest.raises(
        BandNotFoundError, match=r"no band within 5 nm of 515\.1 nm; the nearest of 2 bands is 510\.0 nm"
    ):
        nearest_band(wavelength, 515.1)
    assert nearest_band(wavelength, 515.1, tolerance_nm=6) == 1
    with pytest.raises(LookupError, match="are wavelengths in nm"):
        nearest_band(wavelength / 1000, 500.0)
    with pytest.raises(BandNotFoundError, match="the band list is empty"):
        nearest_band(np.array([]), 500.0)
    with pytest.raises(BandNotFoundError, match="no band within"):
        nearest_band(np.array([np.nan]), 500.0)


@pytest.mark.slow
@given(
    wavelength=hnp.arrays(
        np.float64, st.integers(1, 20), elements=st.integers(400, 700).map(float), unique=True
    ),
    target=st.integers(300, 800),
)
def test_nearest_band_agrees_with_a_plain_search(wavelength: np.ndarray, target: int) -> None:
    best = min(wavelength.tolist(), key=lambda nm: (abs(nm - target), nm))
    assert wavelength[nearest_band(wavelength, target, tolerance_nm=1000)] == best


def test_resample_by_hand() -> None:
    wavelength = np.array([500.0, 510.0, 530.0])
    spectrum = np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 2.0]])
    target = np.array([495.0, 500.0, 505.0, 515.0, 530.0, 540.0, 494.9, 540.1])
    nan = np.nan
    expected = [[0.5, 1, 1.5, 3, 6, 8, nan, nan], [0, 0, 0, 0.5, 2, 3, nan, nan]]
    np.testing.assert_allclose(resample(spectrum, wavelength, target), expected)


def test_resample_spreads_nan_no_further_than_the_bands_that_need_it() -> None:
    wavelength = np.array([500.0, 510.0, 520.0, 530.0])
    out = resample(
        np.array([1.0, np.nan, 3.0, 5.0]), wavelength, np.array([500.0, 505, 510, 515, 520, 525, 530])
    )
    np.testing.assert_array_equal(out, [1, np.nan, np.nan, np.nan, 3, 4, 5])


def test_resample_from_one_band_holds_at_that_band_alone() -> None:
    out = resample(np.array([2.0]), np.array([500.0]), np.array([499.0, 500.0, 501.0]))
    np.testing.assert_array_equal(out, [np.nan, 2.0, np.nan])


def test_resample_refuses_what_does_not_fit() -> None:
    with pytest.raises(
        SensorError, match=r"shape \(3, 2\) and wavelengths of shape \(3,\). Is the band axis last\?"
    ):
        resample(np.zeros((3, 2)), np.array([500.0, 510.0, 520.0]), np.array([505.0]))
    with pytest.raises(SensorError, match="band centres must increase"):
        resample(np.zeros(2), np.array([510.0, 500.0]), np.array([505.0]))


@pytest.mark.slow
@given(
    slope=st.floats(-1, 1),
    level=st.floats(-1, 1),
    targets=hnp.arrays(np.float64, 5, elements=st.floats(345, 720)),
)
def test_resample_keeps_straight_lines(slope: float, level: float, targets: np.ndarray) -> None:
    wavelength = named_sensor("oci-aop-v3").wavelength
    out = resample(level + slope * wavelength, wavelength, targets)
    np.testing.assert_allclose(out, level + slope * targets, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@given(hnp.arrays(np.float32, (2, 22), elements=st.floats(-0.0078125, 0.0625, width=32)))
def test_resample_to_its_own_bands_changes_nothing(spectrum: np.ndarray) -> None:
    wavelength = named_sensor("oci-aop-v3").wavelength[::8]
    np.testing.assert_array_equal(resample(spectrum, wavelength, wavelength), spectrum)
