from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectm.errors import BandNotFoundError, SensorError
from spectm.spectral.indices import (
    INDICES,
    MIN_DENOMINATOR,
    avw,
    chl_2band,
    cicyano,
    cyanobacteria_index,
    flh,
    line_height,
    mci,
    ndci,
    pc_ratio,
    pc_ratio_650_625,
    pci,
    ss_665,
    supported_indices,
)
from spectm.spectral.sensors import named_sensor

AOP = named_sensor("oci-aop-v3").wavelength
SFREFL = named_sensor("oci-sfrefl-v3").wavelength
# A short list that supports every index; quicker to draw spectra for than 122 bands.
SHORT = np.unique(
    [*np.arange(399.0, 760, 25), *(1.0 + nm for nm in (560, 620, 625, 650, 665, 681, 708, 709, 753))]
)
RATIOS = ["ndci", "pc_ratio", "pc_ratio_650_625", "chl_2band", "avw"]
HEIGHTS = ["cyanobacteria_index", "cicyano", "flh", "mci", "pci", "ss_665"]

spectral = st.floats(0.001, 0.05)  # clear of the threshold, where rounding decides
spectra = hnp.arrays(np.float64, SHORT.size, elements=spectral)


def test_the_registry_is_the_table() -> None:
    assert sorted(INDICES) == sorted(RATIOS + HEIGHTS)
    assert {name for name, index in INDICES.items() if index.units == "sr^-1"} == set(HEIGHTS)
    assert INDICES["avw"].units == "nm"
    for name, index in INDICES.items():
        assert index.name == name == index.function.__name__
        assert index.reference in (index.function.__doc__ or ""), f"{name}: the docstring cites otherwise"


def test_line_height_by_hand() -> None:
    peak, wavelength = np.array([0.002, 0.007, 0.004]), np.array([660.0, 680.0, 700.0])
    height = line_height(peak, wavelength, left_nm=660, centre_nm=680, right_nm=700)
    assert height == pytest.approx(0.004)  # the line passes 680 nm at 0.003


def test_line_height_uses_true_centres() -> None:
    # wanted 660, 680, 700; bands at 658, 683, 703: the line passes 683 nm at 0.001 + 25/45 of 0.009 = 0.006
    height = line_height(
        np.array([0.001, 0.005, 0.010]),
        np.array([658.0, 683.0, 703.0]),
        left_nm=660,
        centre_nm=680,
        right_nm=700,
    )
    assert height == pytest.approx(-0.001)


def test_line_height_needs_three_bands() -> None:
    with pytest.raises(BandNotFoundError, match="three different bands near 660, 663 and 700 nm"):
        line_height(np.zeros(2), np.array([661.0, 700.0]), left_nm=660, centre_nm=663, right_nm=700)
    with pytest.raises(BandNotFoundError, match="from short to long; the nearest are 700, 680, 660 nm"):
        line_height(np.zeros(3), np.array([660.0, 680.0, 700.0]), left_nm=700, centre_nm=680, right_nm=660)


def spectrum_of(**values: float) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance in a few bands, given as nm_665=0.004."""
    return np.array(list(values.values())), np.array([float(name.removeprefix("nm_")) for name in values])


def test_ratios_by_hand() -> None:
    Rrs, wavelength = spectrum_of(
        nm_620=0.004, nm_625=0.005, nm_650=0.006, nm_665=0.002, nm_708=0.006, nm_709=0.003
    )
    assert ndci(Rrs, wavelength) == pytest.approx(0.5)
    assert chl_2band(Rrs, wavelength) == pytest.approx(3.0)
    assert pc_ratio(Rrs, wavelength) == pytest.approx(0.75)
    assert pc_ratio_650_625(Rrs, wavelength) == pytest.approx(1.2)


def test_the_red_triangle_by_hand() -> None:
    # from 665 to 709 nm the line rises by 0.0044; 681 nm is 16/44 of the way, so the line is at 0.0046
    Rrs, wavelength = spectrum_of(nm_620=0.001, nm_665=0.003, nm_681=0.004, nm_709=0.0074)
    assert flh(Rrs, wavelength) == pytest.approx(-0.0006)
    assert cyanobacteria_index(Rrs, wavelength) == pytest.approx(0.0006)
    # from 620 to 681 nm the line rises by 0.003; 665 nm is 45/61 of the way
    assert ss_665(Rrs, wavelength) == pytest.approx(0.003 - 0.001 - 0.003 * 45 / 61)


def test_pci_and_mci_by_hand() -> None:
    # from 560 to 665 nm the line falls by 0.0105, that is 0.0001 a nm: 0.0145 at 620 nm
    assert pci(*spectrum_of(nm_560=0.0205, nm_620=0.0125, nm_665=0.0100)) == pytest.approx(0.002)
    # from 681 to 753 nm the line falls by 0.0036; 709 nm is 28/72 of the way: 0.0056
    assert mci(*spectrum_of(nm_681=0.007, nm_709=0.009, nm_753=0.0034)) == pytest.approx(0.0034)


@pytest.mark.parametrize(
    ("at_665", "at_709", "expected"),
    [
        # the line 620-681 nm passes 665 nm at 0.00358; 681 nm is 16/44 of the way from 665 to 709 nm
        (0.0040, 0.0084, 0.0011),  # CI and SS(665) positive
        (0.0030, 0.0118, 0.0),  # CI is 0.0017, but SS(665) negative: no phycocyanin
        (0.0040, 0.0040, 0.0),  # SS(665) positive, CI negative
        (0.0020, 0.0040, 0.0),  # both negative
    ],
)
def test_cicyano_asks_for_both_signs(at_665: float, at_709: float, expected: float) -> None:
    Rrs, wavelength = spectrum_of(nm_620=0.001, nm_665=at_665, nm_681=0.0045, nm_709=at_709)
    assert cicyano(Rrs, wavelength) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("nm", [620, 665, 681, 709])
def test_cicyano_is_nan_not_zero_where_a_band_is_missing(nm: int) -> None:
    Rrs, wavelength = spectrum_of(nm_620=0.001, nm_665=0.002, nm_681=0.0045, nm_709=0.004)
    assert cicyano(Rrs, wavelength) == 0
    assert np.isnan(cicyano(np.where(wavelength == nm, np.nan, Rrs), wavelength))


@pytest.mark.parametrize(
    ("name", "denominator_nm"), [("chl_2band", 665), ("pc_ratio", 620), ("pc_ratio_650_625", 625)]
)
@pytest.mark.parametrize("value", [0.0, -0.001, MIN_DENOMINATOR, 1e-6])
def test_a_ratio_over_next_to_nothing_is_nan(name: str, denominator_nm: int, value: float) -> None:
    Rrs = np.where(denominator_nm == AOP, value, 0.01)
    assert np.isnan(INDICES[name].function(Rrs, AOP))
    assert np.isfinite(INDICES[name].function(np.where(denominator_nm == AOP, 2e-4, 0.01), AOP))


def test_ndci_is_nan_where_the_sum_is_not_clearly_positive() -> None:
    wavelength = np.array([665.0, 708.0])
    Rrs = np.array([[0.001, -0.001], [-0.002, 0.001], [4e-5, 5e-5], [0.004, -0.002]])
    np.testing.assert_array_equal(np.isnan(ndci(Rrs, wavelength)), [True, True, True, False])


def test_avw_by_the_slow_obvious_version() -> None:
    rng = np.random.default_rng(0)
    Rrs = rng.uniform(-0.001, 0.02, (3, 4, AOP.size))
    grid = np.arange(400, 701)
    for row, found in zip(Rrs.reshape(-1, AOP.size), avw(Rrs, AOP).ravel(), strict=True):
        fine = np.interp(grid, AOP, row)
        assert found == pytest.approx(fine.sum() / (fine / grid).sum())


def test_avw_by_hand() -> None:
    grid = np.arange(380.0, 721.0, 5.0)
    assert avw(np.full(grid.size, 0.01), grid) == pytest.approx(301 / sum(1 / nm for nm in range(400, 701)))
    # all light in one triangle 545-550-555: symmetric, so next to 550 nm, less the harmonic mean's deficit
    assert avw(np.where(grid == 550, 1.0, 0.0), grid) == pytest.approx(550, abs=0.02)


def test_avw_on_raw_bands_would_be_about_10_nm_high() -> None:
    flat, visible = np.full(AOP.size, 0.01), (AOP >= 400) & (AOP <= 700)
    raw = flat[visible].sum() / (flat[visible] / AOP[visible]).sum()
    assert 5 < raw - avw(flat, AOP) < 30


def test_avw_is_nan_where_undefined() -> None:
    dark = np.full(AOP.size, 0.5 * MIN_DENOMINATOR)
    red_only = np.where(AOP > 650, 0.02, -0.003)  # the formula gives more than 700 nm here
    grid = np.arange(400, 701)
    fine = np.interp(grid, AOP, red_only)
    assert fine.sum() / (fine / grid).sum() > 700
    blue_only = np.where(AOP < 450, 0.02, -0.003)  # and less than 400 nm here
    fine = np.interp(grid, AOP, blue_only)
    assert 0 < fine.sum() / (fine / grid).sum() < 400
    no_sum = np.where(AOP > 550, -0.01, 0.01)
    assert np.isnan(avw(np.stack([dark, red_only, blue_only, no_sum, np.zeros(AOP.size)]), AOP)).all()


def test_avw_minds_nan_inside_and_not_outside() -> None:
    Rrs = np.full(AOP.size, 0.01)
    outside = (AOP < 398) | (AOP > 701)
    assert avw(np.where(outside, np.nan, Rrs), AOP) == pytest.approx(avw(Rrs, AOP))
    assert np.isnan(avw(np.where(AOP == 550, np.nan, Rrs), AOP))


@pytest.mark.parametrize(
    ("wavelength", "message"),
    [
        (np.arange(420.0, 701.0, 5.0), "avw: no band within 5 nm of 400 nm"),
        (np.arange(400.0, 691.0, 5.0), "avw: no band within 5 nm of 700 nm"),
        (
            np.arange(404.0, 701.0, 4.0),
            "avw: bands from 404 to 700 nm do not reach 400 nm within half a band",
        ),
        (np.array([400.0, 430.0, 461.0, 480.0, 700.0]), "avw: no band between 480 and 700 nm"),
    ],
)
def test_avw_says_which_part_of_the_spectrum_is_missing(wavelength: np.ndarray, message: str) -> None:
    with pytest.raises(BandNotFoundError, match=message):
        avw(np.full(wavelength.size, 0.01), wavelength)
    assert message.removeprefix("avw: ") in (supported_indices(wavelength)["avw"] or "")


def test_oci_supports_all_but_mci_in_rrs() -> None:
    reasons = supported_indices(AOP)
    assert [name for name, reason in reasons.items() if reason] == ["mci"]
    assert "no band within 5 nm of 753 nm" in (reasons["mci"] or "")
    assert not any(supported_indices(SFREFL).values())
    with pytest.raises(
        BandNotFoundError, match="mci: no band within 5 nm of 753 nm; the nearest of 172 bands is 719"
    ):
        mci(np.zeros(AOP.size), AOP)


@pytest.mark.parametrize("name", [name for name, index in INDICES.items() if not index.continuous])
def test_an_index_needs_the_bands_it_lists_and_no_other(name: str) -> None:
    index = INDICES[name]
    wavelength = np.array(sorted(index.needs_nm), dtype=float)
    assert np.isfinite(index.function(np.linspace(0.004, 0.009, wavelength.size), wavelength))
    for nm in wavelength:
        rest = wavelength[wavelength != nm]
        with pytest.raises(BandNotFoundError, match=f"{name}: no band within 5 nm of {nm:g} nm"):
            index.function(np.full(rest.size, 0.01), rest)
        assert np.isnan(index.function(np.where(wavelength == nm, np.nan, 0.01), wavelength))


def test_no_bands_support_nothing() -> None:
    assert all(supported_indices(np.array([])).values())


def test_shapes_and_order_are_checked() -> None:
    with pytest.raises(SensorError, match="Is the band axis last"):
        ndci(np.zeros((172, 3)), AOP)
    with pytest.raises(SensorError, match="band centres must increase"):
        ndci(np.zeros(172), AOP[::-1])


@pytest.mark.slow
@given(level=st.floats(0.005, 0.05), slope=st.floats(-1e-6, 1e-6))
def test_a_straight_line_has_no_height(level: float, slope: float) -> None:
    line = level + slope * SHORT
    for name in HEIGHTS:
        assert INDICES[name].function(line, SHORT) == pytest.approx(0, abs=1e-15)


@pytest.mark.slow
@given(Rrs=spectra, level=st.floats(-0.01, 0.01), slope=st.floats(-1e-5, 1e-5))
def test_adding_a_straight_line_changes_no_height(Rrs: np.ndarray, level: float, slope: float) -> None:
    for name in HEIGHTS:
        if name != "cicyano":  # its condition may flip by rounding
            function = INDICES[name].function
            assert function(Rrs + level + slope * SHORT, SHORT) == pytest.approx(
                function(Rrs, SHORT), abs=1e-12
            )


@pytest.mark.slow
@given(Rrs=spectra, factor=st.floats(1, 100))
def test_scaling_leaves_ratios_and_scales_heights(Rrs: np.ndarray, factor: float) -> None:
    for name, index in INDICES.items():
        before, after = index.function(Rrs, SHORT), index.function(factor * Rrs, SHORT)
        if name in RATIOS:
            assert after == pytest.approx(before)
        elif name != "cicyano":
            assert after == pytest.approx(factor * before, abs=1e-12)


@pytest.mark.slow
@given(Rrs=hnp.arrays(np.float64, (2, 3, SHORT.size), elements=st.floats(-0.01, -0.001) | spectral))
def test_other_dimensions_only_carry_along(Rrs: np.ndarray) -> None:
    for index in INDICES.values():
        whole = index.function(Rrs, SHORT)
        assert whole.shape == (2, 3)
        assert whole.dtype == np.float64
        np.testing.assert_allclose(index.function(Rrs.swapaxes(0, 1), SHORT), whole.T)
        np.testing.assert_allclose(index.function(Rrs[1, 2], SHORT), whole[1, 2])


@pytest.mark.slow
@given(Rrs=spectra)
def test_signs_and_ranges(Rrs: np.ndarray) -> None:
    assert flh(Rrs, SHORT) == -cyanobacteria_index(Rrs, SHORT)
    assert cicyano(Rrs, SHORT) in (0, cyanobacteria_index(Rrs, SHORT))
    assert -1 <= ndci(Rrs, SHORT) <= 1
    assert 400 <= avw(Rrs, SHORT) <= 700


@pytest.mark.slow
def test_real_patches_have_indices_almost_everywhere(lake_erie: Path) -> None:
    with xr.open_dataset(lake_erie / "pace_station_patches.nc") as patches:
        wavelength = patches["wavelength"].values
        Rrs = patches["Rrs"].transpose("sample", "y", "x", "wavelength").values
    assert wavelength.astype(float).tolist() == AOP.tolist()
    valid = np.isfinite(Rrs).all(axis=-1)
    for name, index in INDICES.items():
        if name != "mci":
            values = index.function(Rrs, wavelength)
            undefined = np.isnan(values[valid])
            # AVW: pixels so negative below 420 nm that the formula leaves 400-700 nm
            assert undefined.mean() < (0.03 if name == "avw" else 0.005), name
            assert undefined.sum() == 0 or name in RATIOS
    assert 530 < np.nanmedian(avw(Rrs, wavelength)) < 570  # green to yellow water
