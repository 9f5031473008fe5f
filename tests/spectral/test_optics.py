import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spectm.data.labels import read_labels, surface_samples
from spectm.errors import OpticsError, SensorError
from spectm.spectral import optics
from spectm.spectral.constituents import algal_absorption, cyano_absorption
from spectm.spectral.indices import INDICES
from spectm.spectral.optics import (
    Water,
    absorption,
    backscattering,
    band_average,
    band_reflectance,
    fluorescence,
    pure_water,
    reflectance,
    scum_reflectance,
)
from spectm.spectral.sensors import Sensor, named_sensor

AOP = named_sensor("oci-aop-v3")
COARSE = Sensor(
    name="coarse", wavelength=np.array([443.0, 560, 665, 705, 865]), width_nm=np.array([20.0, 35, 30, 15, 20])
)
VISIBLE = np.arange(400.0, 720.0, 5.0)


def lake(**parts: object) -> Water:
    """Western Lake Erie in summer, with parts exchanged."""
    return Water(**{"chlorophyll": 8.0, "cdom_440": 0.4, "minerals": 7.0, **parts})  # type: ignore[arg-type]


def bloom(chlorophyll: float) -> Water:
    """A lake in which cyanobacteria grow: two thirds of the chlorophyll, and as much phycocyanin."""
    cyano = chlorophyll * 2 / 3
    return lake(chlorophyll=chlorophyll - cyano, cyano_chlorophyll=cyano, phycocyanin=cyano)


# By hand


def test_pure_water_is_the_table(lake_erie: Path) -> None:
    with (lake_erie.parents[1] / "facts" / "pure_water.csv").open() as lines:
        rows = [row for row in csv.reader(lines) if row[0][:1].isdigit()]
    wavelength, a, bb = np.array(rows, dtype=float).T
    assert len(rows) == 112
    np.testing.assert_array_equal(pure_water(wavelength), (a, bb))


def test_pure_water_between_and_beyond_the_rows() -> None:
    # rows: 545 nm 0.0511, 550 nm 0.0565, 555 nm 0.0596, 560 nm 0.0619; 345 nm 0.0075; 900 nm 6.4
    # Hermite's cubic at 2/5 of the way: 0.648 and 0.352 of the rows, 0.144 and -0.096 of slopes over 5 nm
    slopes = 5 * np.array([0.0596 - 0.0511, 0.0619 - 0.0565]) / 10
    between = 0.648 * 0.0565 + 0.352 * 0.0596 + 0.144 * slopes[0] - 0.096 * slopes[1]
    a, bb = pure_water([552.0, 335.0, 345.0, 900.0, 910.0])
    assert a == pytest.approx([between, 0.0075, 0.0075, 6.4, 6.4])
    assert bb[0] == pytest.approx(0.00111 * (552 / 500) ** -4.32, rel=1e-3)


@pytest.mark.parametrize("nm", [334.9, 910.1, np.nan, np.inf])
def test_further_out_nothing_is_known(nm: float) -> None:
    with pytest.raises(OpticsError, match=rf"from 345 to 900 nm.*found {nm:g} nm"):
        pure_water([500.0, nm])
    with pytest.raises(OpticsError, match=r"found shape \(1, 2\)"):
        absorption(Water(), [[500.0, 510.0]])
    with pytest.raises(OpticsError, match="Leave out other bands"):
        band_reflectance(Water(), named_sensor("oci-sfrefl-v3"))


@pytest.mark.parametrize(
    ("relation", "below"),
    [
        # table, 555 nm: a 0.0596, bb 0.000707176; u = 0.000707176 / 0.060307176 = 0.01172623
        ("gordon-1988", 0.0949 * 0.01172623 + 0.0794 * 0.0001375045),
        ("lee-2002", 0.089 * 0.01172623 + 0.125 * 0.0001375045),
    ],
)
def test_pure_water_rrs_step_by_step(relation: optics.Relation, below: float) -> None:
    wanted = 0.52 * below / (1 - 1.7 * below)
    assert reflectance(Water(), [555.0], relation=relation) == pytest.approx([wanted], rel=1e-6)
    assert wanted == pytest.approx({"gordon-1988": 0.000585462, "lee-2002": 0.000552622}[relation], rel=1e-5)


def added(parts: Water, nm: float, of: Callable[[Water, list[float]], np.ndarray] = absorption) -> float:
    """What the parts of a water add to pure water at one wavelength, m^-1."""
    return float((of(parts, [nm]) - of(Water(), [nm]))[0])


def test_dissolved_and_mineral_absorption_fall_exponentially() -> None:
    assert added(Water(cdom_440=0.5), 440) == pytest.approx(0.5)
    assert added(Water(cdom_440=0.5), 540) == pytest.approx(0.5 * 0.1720449)  # exp(-1.76)
    assert added(Water(cdom_440=0.5, cdom_slope=0.01), 540) == pytest.approx(0.5 * 0.3678794)  # exp(-1)
    assert added(Water(minerals=10), 440) == pytest.approx(0.41)
    assert added(Water(minerals=10), 540) == pytest.approx(0.41 * 0.2922926)  # exp(-1.23)
    assert added(Water(minerals=10, mineral_slope=0.01), 540) == pytest.approx(0.41 * 0.3678794)
    assert added(Water(minerals=10, mineral_absorption_440=0.02), 440) == pytest.approx(0.2)
    floor = Water(minerals=10, mineral_absorption_floor=0.1)  # a tenth of it is there at any wavelength
    assert added(floor, 440) == pytest.approx(0.41)
    assert added(floor, 540) == pytest.approx(0.041 + 0.9 * 0.41 * 0.2922926)


def test_phycocyanin_absorbs_0_095_for_10_mg() -> None:
    assert added(Water(phycocyanin=10), 620) == pytest.approx(0.095)
    assert added(Water(phycocyanin=10, phycocyanin_absorption_620=0.007), 620) == pytest.approx(0.07)
    # full width 45 nm: half of it 22.5 nm below the peak; allophycocyanin holds 2 % of that
    assert added(Water(phycocyanin=10), 597.5) == pytest.approx(0.0475, rel=0.03)
    assert added(Water(phycocyanin=10), 642.5) > 1.2 * 0.0475  # but on the other side it does


def test_phycoerythrin_absorbs_at_571_nm() -> None:
    def alone(nm: float) -> float:
        waters = [Water(cyano_chlorophyll=10, cyano_phycoerythrin_571=one) for one in (0.004, 0.0)]
        return added(waters[0], nm) - added(waters[1], nm)

    assert alone(571.0) == pytest.approx(0.04)
    peak = alone(574.5)
    assert peak == pytest.approx(0.04 / np.exp(-4 * np.log(2) * (3.5 / 30.5) ** 2))
    assert alone(574.5 + 30.5 / 2) == pytest.approx(peak / 2)
    assert added(Water(chlorophyll=10, cyano_phycoerythrin_571=0.004), 571) == added(
        Water(chlorophyll=10), 571
    )


def test_cyanobacteria_are_scaled_at_675_nm() -> None:
    assert added(Water(cyano_chlorophyll=10), 675) == pytest.approx(0.15)
    assert added(Water(cyano_chlorophyll=10, cyano_absorption_675=0.02), 675) == pytest.approx(0.2)
    # Wojtasiewicz and Ston-Egiert (2016): ten strains, 0.017 to 0.065 m^2 mg^-1 at 440 nm
    assert 0.017 < added(Water(cyano_chlorophyll=1), 440) < 0.065


# Bricaud et al. (1998), phytoplankton alone: a = A C^E.
@pytest.mark.parametrize(
    ("nm", "A", "E"),
    [
        (400, 0.0240515, 0.687735),
        (440, 0.037824, 0.626633),
        (490, 0.0253719, 0.607395),
        (550, 0.00702755, 0.9311673),
        (620, 0.00608558, 0.870417),
        (660, 0.0108322, 0.823337),
        (676, 0.0179744, 0.816196),
    ],
)
def test_algae_absorb_as_bricaud_found(nm: float, A: float, E: float) -> None:  # noqa: N803
    for C in (1.0, 5.0, 20.0):  # noqa: N806
        assert added(Water(chlorophyll=C), nm) == pytest.approx(A * C**E, rel=0.09)
        double = added(Water(chlorophyll=C, algal_absorption_factor=2), nm)
        assert double == pytest.approx(2 * added(Water(chlorophyll=C), nm))


def test_packed_pigment_absorbs_less() -> None:
    chlorophyll = np.array([0.1, 1.0, 5.0, 25.0])
    specific = algal_absorption(Water(chlorophyll=chlorophyll), VISIBLE) / chlorophyll[:, None]
    assert np.all(np.diff(specific, axis=0) < 0)
    dense = algal_absorption(Water(chlorophyll=[25.0, 100.0]), VISIBLE)
    np.testing.assert_allclose(dense[1], 4 * dense[0])  # nothing was measured beyond 25 mg m^-3
    assert not algal_absorption(Water(), VISIBLE).any()


def test_backscattering_by_hand() -> None:
    assert added(Water(minerals=10), 555, backscattering) == pytest.approx(0.086)
    assert added(Water(minerals=10, particle_exponent=1), 740, backscattering) == pytest.approx(0.086 * 0.75)
    assert added(Water(minerals=10, mineral_backscattering_555=0.02), 555, backscattering) == pytest.approx(
        0.2
    )
    assert added(Water(chlorophyll=10), 555, backscattering) == pytest.approx(0.01)
    assert added(Water(chlorophyll=10, algal_backscattering_555=0.002), 555, backscattering) == pytest.approx(
        0.02
    )
    assert added(Water(cyano_chlorophyll=10), 510, backscattering) == pytest.approx(0.039)
    vacuolate = Water(cyano_chlorophyll=10, cyano_backscattering_510=0.0072, particle_exponent=2)
    assert added(vacuolate, 850, backscattering) == pytest.approx(0.072 * 0.36)  # (510 / 850)^2
    assert added(Water(phycocyanin=10, cdom_440=1), 555, backscattering) == 0


# Fluorescence and scum


def test_fluorescence_as_a_sum_over_depths() -> None:
    water, emission = lake(), 685.0
    excitation = np.arange(400.0, 681.0)  # nm
    depth = np.arange(0.0005, 10, 0.001)  # m
    absorbed = algal_absorption(water, excitation)
    way_down = (absorption(water, excitation) + backscattering(water, excitation)) / 0.8
    way_up = float((absorption(water, [emission]) + backscattering(water, [emission]))[0])
    photons = absorbed * excitation / emission  # for each nm and m, irradiance 1, mean cosine 0.8
    radiance = sum((photons * np.exp(-way_down * z)).sum() * np.exp(-way_up * z) * 0.001 for z in depth) / (
        4 * np.pi * 0.8
    )
    peak = 0.9394372 / 25  # nm^-1: height of a Gaussian of area 1
    assert fluorescence(water, [emission]) == pytest.approx(0.52 * 0.01 * peak * radiance, rel=0.01)


def test_fluorescence_is_a_peak_at_685_nm() -> None:
    wavelength = np.arange(640.0, 741.0)
    shape = fluorescence(lake(), wavelength)
    # absorption by chlorophyll on one side and by water on the other move it by a few nm
    assert abs(wavelength[shape.argmax()] - 685) <= 3
    above_half = wavelength[shape > shape.max() / 2]
    assert above_half[-1] - above_half[0] == pytest.approx(25, abs=2)
    assert 5e-5 < shape.max() < 1e-3


def test_what_fluorescence_depends_on() -> None:
    bright = fluorescence(lake(), [685.0])
    assert fluorescence(lake(fluorescence_yield=0.02), [685.0]) == pytest.approx(2 * bright)
    assert fluorescence(lake(cdom_440=2.0), [685.0]) < bright  # less light reaches the algae
    assert fluorescence(lake(chlorophyll=16.0), [685.0]) > bright
    assert fluorescence(lake(chlorophyll=0, cyano_chlorophyll=50), [685.0]) == 0
    without = reflectance(lake(fluorescence_yield=0), [685.0])
    assert reflectance(lake(), [685.0]) == pytest.approx(without + bright)


def test_scum_has_a_red_edge() -> None:
    green, trough, red, edge, infrared = np.pi * scum_reflectance([560.0, 620.0, 675.0, 720.0, 800.0])
    assert red == pytest.approx(0.05, abs=0.005)
    assert infrared == pytest.approx(0.42, abs=0.02)  # q = 0.4: 1.4 - sqrt(0.96)
    assert red < trough < green < edge <= infrared


def test_scum_covers_its_share_of_the_water() -> None:
    covered = reflectance(bloom(50), [675.0, 800.0])
    quarter = reflectance(lake(**parts_of(bloom(50)), scum_fraction=0.25), [675.0, 800.0])
    assert quarter == pytest.approx(0.75 * covered + 0.25 * scum_reflectance([675.0, 800.0]))
    assert reflectance(lake(scum_fraction=1), VISIBLE) == pytest.approx(scum_reflectance(VISIBLE))


def parts_of(water: Water) -> dict[str, object]:
    return {name: getattr(water, name) for name in ("chlorophyll", "cyano_chlorophyll", "phycocyanin")}


# Published shapes


def test_pure_water_is_blue_and_what_is_in_it_turns_it_green() -> None:
    def brightest(water: Water) -> float:
        return float(VISIBLE[reflectance(water, VISIBLE).argmax()])

    assert brightest(Water()) < 430
    assert brightest(Water(chlorophyll=0.5, cdom_440=0.05)) < 500
    assert 540 < brightest(lake()) < 590


def test_minerals_brighten_every_wavelength() -> None:
    Rrs = reflectance(lake(minerals=[1.0, 5.0, 20.0, 80.0]), VISIBLE)
    assert np.all(np.diff(Rrs, axis=0) > 0)


def test_phycocyanin_digs_a_trough_at_620_nm() -> None:
    wavelength = np.arange(600.0, 651.0)
    Rrs = reflectance(lake(cyano_chlorophyll=15, phycocyanin=[0.0, 5.0, 20.0, 80.0]), wavelength)
    line = np.linspace(Rrs[:, 0], Rrs[:, -1], wavelength.size, axis=-1)
    depth = 1 - Rrs / line
    assert np.all(np.diff(depth[:, 20]) > 0.03)  # at 620 nm
    assert abs(wavelength[depth[-1].argmax()] - 620) < 6


def test_the_peak_near_700_nm_grows_and_moves_red() -> None:
    # Gitelson (1993), Proc. SPIE 1971: from about 680 to 715 nm as chlorophyll goes from 3 to 100 mg m^-3
    wavelength = np.arange(678.0, 740.0)
    Rrs = [reflectance(bloom(chlorophyll), wavelength) for chlorophyll in (10, 30, 100, 200)]
    position = [wavelength[spectrum.argmax()] for spectrum in Rrs]
    assert position == sorted(set(position))
    assert 685 < position[0] < 695 < position[1] < 702 < position[2] < 715
    assert np.all(np.diff([spectrum.max() for spectrum in Rrs]) > 0)


@pytest.mark.slow
def test_indices_rise_with_what_they_stand_for() -> None:
    def index(name: str, waters: list[Water]) -> np.ndarray:
        return np.array([INDICES[name].function(band_reflectance(w, AOP), AOP.wavelength) for w in waters])

    # 5 to 95 % of the laboratory's record: chlorophyll 2.7 to 98, phycocyanin 0.07 to 84 mg m^-3
    blooms = [bloom(chlorophyll) for chlorophyll in (2.7, 7, 17, 37, 98)]
    for name in ("ndci", "chl_2band", "cyanobacteria_index", "pci", "pc_ratio", "pc_ratio_650_625", "ss_665"):
        assert np.all(np.diff(index(name, blooms)) > 0), name
    assert index("cicyano", blooms)[[0, -1]].tolist() == [0, index("cyanobacteria_index", blooms)[-1]]
    pigment = [lake(cyano_chlorophyll=15, phycocyanin=phycocyanin) for phycocyanin in (0.07, 0.6, 4, 15, 84)]
    for name in ("pci", "pc_ratio", "pc_ratio_650_625"):
        assert np.all(np.diff(index(name, pigment)) > 0), name
    # algae fluoresce, cyanobacteria hardly do
    algae = [lake(chlorophyll=chlorophyll) for chlorophyll in (3.0, 8.0)]
    assert np.all(index("flh", algae) > 0)
    assert index("flh", blooms)[-1] < 0


@pytest.mark.slow
def test_a_typical_lake_erie_lies_among_real_spectra(lake_erie: Path) -> None:
    samples = surface_samples(read_labels(lake_erie / "glerl"))
    middle = samples[["chlorophyll", "phycocyanin", "suspended_solids", "cdom"]].median()
    water = Water(
        chlorophyll=middle["chlorophyll"] - middle["phycocyanin"],
        cyano_chlorophyll=middle["phycocyanin"],
        phycocyanin=middle["phycocyanin"],
        minerals=0.8 * middle["suspended_solids"],  # the rest are the algae themselves
        cdom_440=middle["cdom"] * np.exp(-0.0176 * 40),  # the laboratory measures at 400 nm
    )
    Rrs = band_reflectance(water, AOP)
    with xr.open_dataset(lake_erie / "pace_station_patches.nc") as data:
        real = data["Rrs"].values[:, :, 1, 1].astype(np.float64)
    low, half, high = np.nanpercentile(real, [10, 50, 90], axis=0)
    assert np.all((low < Rrs) & (high > Rrs))
    trusted = (
        AOP.wavelength >= 420
    )  # below, atmospheric correction leaves a good part of real values negative
    np.testing.assert_allclose(Rrs[trusted], half[trusted], rtol=0.3)


# Bands


@pytest.mark.parametrize("response", ["gaussian", "square"])
def test_a_straight_line_keeps_its_value_at_the_centre(response: optics.Response) -> None:
    wavelength = np.array([300.0, 420.3, 500, 613, 650, 760, 1000])  # straight, however coarse
    line = 0.004 + 2e-5 * (wavelength - 500)
    average = band_average(line, wavelength, COARSE, response=response)
    assert average == pytest.approx(0.004 + 2e-5 * (COARSE.wavelength - 500))


def test_a_parabola_tells_the_width() -> None:
    wavelength = np.arange(300.0, 1000, 0.25)
    band = Sensor(name="one", wavelength=np.array([600.0]), width_nm=np.array([24.0]))
    parabola = (wavelength - 600) ** 2
    assert band_average(parabola, wavelength, band, response="square") == pytest.approx(
        [48], rel=1e-3
    )  # w^2 / 12
    # w^2 / (8 ln 2), less what lies beyond 1.5 widths
    assert band_average(parabola, wavelength, band) == pytest.approx([103.87], rel=0.02)


def test_bands_average_the_fine_spectrum() -> None:
    wavelength = np.arange(335.0, 911.0)
    fine = reflectance(bloom(60), wavelength)
    for response in ("gaussian", "square"):
        bands = band_reflectance(bloom(60), COARSE, response=response)  # type: ignore[arg-type]
        assert bands == pytest.approx(band_average(fine, wavelength, COARSE, response=response))  # type: ignore[arg-type]
    peak, wide = 3, Sensor(name="wide", wavelength=np.array([705.0]), width_nm=np.array([60.0]))
    assert band_reflectance(bloom(60), wide)[0] < bands[peak] < fine.max()


def test_bands_may_not_look_beyond_the_spectrum() -> None:
    one = Sensor(name="one", wavelength=np.array([500.0]), width_nm=np.array([10.0]))
    with pytest.raises(OpticsError, match=r"bands of 'one' look from 485.1 to 514.9 nm.*from 490 to 510 nm"):
        band_average(np.zeros(2), np.array([490.0, 510.0]), one)
    with pytest.raises(SensorError, match="Is the band axis last"):
        band_average(np.zeros(3), np.array([490.0, 510.0]), one)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OpticsError, match="no relation named 'lee'; known: gordon-1988, lee-2002"):
        reflectance(Water(), [500.0], relation="lee")  # type: ignore[arg-type]
    with pytest.raises(OpticsError, match="no band response named 'box'; known: gaussian, square"):
        band_reflectance(Water(), COARSE, response="box")  # type: ignore[arg-type]


# Waters


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"chlorophyll": -1.0}, "chlorophyll must be 0 or more, and finite, found -1"),
        ({"minerals": [1.0, np.inf]}, "minerals must be 0 or more, and finite, found inf"),
        ({"scum_fraction": 1.1}, "scum_fraction must be from 0 to 1, found 1.1"),
        ({"mineral_absorption_floor": 1.1}, "mineral_absorption_floor must be from 0 to 1, found 1.1"),
        (
            {"chlorophyll": [1.0, 2.0], "minerals": [1.0, 2.0, 3.0]},
            r"broadcast to one shape, found chlorophyll \(2,\), minerals \(3,\)",
        ),
    ],
)
def test_a_water_refuses(parts: dict[str, object], message: str) -> None:
    with pytest.raises(OpticsError, match=message):
        lake(**parts)


def test_a_water_can_not_be_changed_from_outside() -> None:
    chlorophyll = np.array([1.0, 2.0])
    water = Water(chlorophyll=chlorophyll)
    chlorophyll[0] = 9.0
    assert np.asarray(water.chlorophyll).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(water.chlorophyll)[0] = 9.0


def test_many_waters_at_once_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optics, "CHUNK", 2)  # so that 2 x 3 waters need three rounds
    chlorophyll, minerals = np.array([[2.0], [30.0]]), np.array([1.0, 5.0, 20.0])
    waters = lake(chlorophyll=chlorophyll, minerals=minerals, phycocyanin=4.0, scum_fraction=[0, 0.1, 0])
    assert waters.shape == (2, 3)
    Rrs = band_reflectance(waters, COARSE)
    assert Rrs.shape == (2, 3, 5)
    assert absorption(waters, VISIBLE).shape == backscattering(waters, VISIBLE).shape == (2, 3, VISIBLE.size)
    for row, column in np.ndindex(2, 3):
        alone = lake(
            chlorophyll=chlorophyll[row, 0],
            minerals=minerals[column],
            phycocyanin=4.0,
            scum_fraction=0.1 if column == 1 else 0,
        )
        assert Rrs[row, column] == pytest.approx(band_reflectance(alone, COARSE))
    assert band_reflectance(lake(minerals=np.zeros((0, 3))), COARSE).shape == (0, 3, 5)


def test_wavelengths_come_in_any_order() -> None:
    forward = reflectance(bloom(20), [443.0, 620.0, 709.0])
    assert reflectance(bloom(20), [709.0, 443.0, 620.0]) == pytest.approx(forward[[2, 0, 1]])


@pytest.mark.parametrize(
    "part", ["chlorophyll", "phycocyanin", "cdom_slope", "scum_fraction", "fluorescence_yield"]
)
def test_missing_stays_missing_and_alone(part: str) -> None:
    Rrs = band_reflectance(lake(**{part: [0.01, np.nan]}), COARSE)
    assert np.isfinite(Rrs[0]).all()
    assert np.isnan(Rrs[1]).all()


amounts = st.fixed_dictionaries(
    {
        "chlorophyll": st.floats(0, 200),
        "cyano_chlorophyll": st.floats(0, 500),
        "phycocyanin": st.floats(0, 500),
        "cdom_440": st.floats(0, 10),
        "minerals": st.floats(0, 500),
    }
)
slopes = st.fixed_dictionaries(
    {
        "cdom_slope": st.floats(0.01, 0.02),
        "mineral_slope": st.floats(0.006, 0.014),
        "particle_exponent": st.floats(0, 2),
        "scum_fraction": st.floats(0, 1),
    }
)
few = settings(max_examples=40)
EVERYWHERE = np.arange(340.0, 906.0, 15.0)


@pytest.mark.slow
@few
@given(amounts, slopes)
def test_rrs_is_finite_and_positive(held: dict[str, float], shapes: dict[str, float]) -> None:
    Rrs = reflectance(Water(**held, **shapes), EVERYWHERE)
    assert np.all((Rrs > 0) & (Rrs < 0.2))


@pytest.mark.slow
@few
@given(amounts, st.sampled_from(["mineral", "algal", "cyano"]))
def test_more_backscattering_is_brighter(held: dict[str, float], of: str) -> None:
    field = {"mineral": "mineral_backscattering_555", "algal": "algal_backscattering_555"}.get(
        of, "cyano_backscattering_510"
    )
    Rrs = reflectance(Water(**held, **{field: [0.001, 0.004, 0.01]}, fluorescence_yield=0), EVERYWHERE)
    assert np.all(np.diff(Rrs, axis=0) >= 0)


@pytest.mark.slow
@few
@given(amounts, st.sampled_from(["cdom_440", "phycocyanin"]))
def test_more_absorption_is_darker(held: dict[str, float], part: str) -> None:
    Rrs = reflectance(Water(**{**held, part: [1.0, 4.0, 16.0]}), EVERYWHERE)
    assert np.all(np.diff(Rrs, axis=0) <= 0)


def test_parts_add_up() -> None:
    held = {
        "chlorophyll": 8.0,
        "cyano_chlorophyll": 5.0,
        "phycocyanin": 4.0,
        "cdom_440": 0.4,
        "minerals": 7.0,
    }
    total = sum(
        absorption(Water(**{name: value}), VISIBLE) - pure_water(VISIBLE)[0] for name, value in held.items()
    )
    assert absorption(Water(**held), VISIBLE) == pytest.approx(total + pure_water(VISIBLE)[0])
    both = Water(cyano_chlorophyll=5.0, phycocyanin=4.0)
    assert cyano_absorption(both, VISIBLE) == pytest.approx(
        absorption(both, VISIBLE) - pure_water(VISIBLE)[0]
    )
