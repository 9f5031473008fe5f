"""The simulated lake: its map, its chance, and what its water holds when and where."""

import numpy as np
import pytest

from spectm.data.regions import parse_region
from spectm.errors import SimulationError, SpectmError
from spectm.simulation.climate import (
    CROWDING,
    HABITS,
    PROPERTIES,
    Property,
    crowded,
    cyano_chlorophyll,
    microcystin,
    suspended_solids,
    turbidity,
)
from spectm.simulation.clouds import Sky
from spectm.simulation.fields import RandomField, Series, Wind
from spectm.simulation.lake import FIELDS, LakeState, SimulatedLake
from spectm.simulation.shoreline import BOX, STATIONS, chart, is_land, kilometres
from spectm.spectral.optics import band_reflectance
from spectm.spectral.sensors import named_sensor

NOON = np.timedelta64(18, "h")
PLACES = {"Maumee Bay": (41.71, -83.42), "Detroit River": (42.05, -83.15), "east of Pelee": (41.75, -82.5)}


@pytest.fixture(scope="module")
def lake() -> SimulatedLake:
    return SimulatedLake(seed=5)


@pytest.fixture(scope="module")
def august(lake: SimulatedLake) -> LakeState:
    return lake.state(np.datetime64("2024-08-12T18:00"))


def equal(one: LakeState, other: LakeState) -> bool:
    names = (*FIELDS, "cloud", "land", "latitude", "longitude")
    same = [np.array_equal(getattr(one, n), getattr(other, n), equal_nan=n in FIELDS) for n in names]
    same += [np.array_equal(one.properties[n], other.properties[n], equal_nan=True) for n in PROPERTIES]
    return all(same) and one.time == other.time


class TestMap:
    @pytest.mark.slow
    @pytest.mark.parametrize(("latitude", "longitude"), STATIONS.values(), ids=STATIONS)
    def test_stations_float(self, latitude: float, longitude: float) -> None:
        assert not is_land(latitude, longitude)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("latitude", "longitude"),
        [(41.65, -83.54), (41.51, -82.99), (41.77, -82.66), (41.60, -82.69), (42.05, -82.8), (41.95, -83.5)],
        ids=["Toledo", "Port Clinton", "Pelee Island", "Kelleys Island", "Ontario", "Monroe"],
    )
    def test_towns_do_not(self, latitude: float, longitude: float) -> None:
        assert is_land(latitude, longitude)

    @pytest.mark.slow
    def test_box_is_that_of_the_named_region(self) -> None:
        region = parse_region("lake-erie-west")
        assert (region.west, region.south, region.east, region.north) == BOX

    @pytest.mark.slow
    def test_a_degree_of_latitude_is_111_km(self) -> None:
        x, y = kilometres([41.35, 41.45], [-83.55, -83.55])
        assert x == pytest.approx([0, 0])
        assert y == pytest.approx([0, 11.12])

    @pytest.mark.slow
    def test_way_over_open_water_is_straight(self) -> None:
        x, y = kilometres(*STATIONS["WE12"])
        mouth_x, mouth_y = kilometres(41.70, -83.46)
        way = chart().distance("Maumee", np.array([x]), np.array([y]))
        assert way == pytest.approx(np.hypot(x - mouth_x, y - mouth_y), rel=0.06)

    @pytest.mark.slow
    def test_way_goes_round_the_peninsula(self) -> None:
        # Off Port Clinton one is 8 km north of Sandusky Bay's head, and 27 km out of the bay and back.
        x, y = kilometres(41.54, -82.95)
        way = chart().distance("Sandusky", np.array([x]), np.array([y]))
        assert way[0] > 45

    @pytest.mark.slow
    def test_rings_are_round(self) -> None:
        # 15 km from the Detroit River's mouth in ten directions over open water.
        angle = np.radians(np.linspace(230, 300, 10))
        x, y = kilometres(42.0, -83.13)
        start = chart().distance("Detroit", np.array([x]), np.array([y]))
        way = chart().distance("Detroit", x + 15 * np.cos(angle), y + 15 * np.sin(angle))
        assert np.abs(way - start - 15).max() < 2.5


class TestChance:
    @pytest.mark.slow
    def test_series_has_mean_0_and_variance_1(self) -> None:
        values = np.array([Series(np.random.default_rng(i), 3.0).at([0.0, 50.0]) for i in range(400)])
        assert values.mean(axis=0) == pytest.approx([0, 0], abs=0.15)
        assert values.std(axis=0) == pytest.approx([1, 1], abs=0.12)

    @pytest.mark.slow
    def test_series_remembers_for_its_memory(self) -> None:
        values = np.array([Series(np.random.default_rng(i), 4.0).at([0.0, 4.0, 30.0]) for i in range(400)])
        near, far = (np.corrcoef(values[:, 0], values[:, i])[0, 1] for i in (1, 2))
        assert near == pytest.approx(np.exp(-0.5), abs=0.1)
        assert abs(far) < 0.15

    @pytest.mark.slow
    def test_integral_of_a_series(self) -> None:
        series = Series(np.random.default_rng(0), 2.0)
        days = np.linspace(0, 7, 20_001)
        assert series.integral(7.0) == pytest.approx(np.trapezoid(series.at(days), days), abs=1e-5)

    @pytest.mark.slow
    def test_drift_is_two_percent_of_the_wind_to_its_right(self) -> None:
        wind = Wind(np.random.default_rng(3))
        days = np.linspace(10, 11, 5001)
        east, north = (np.trapezoid(part, days) * 86.4 * 0.02 for part in wind.at(days))  # km
        moved_east, moved_north = np.subtract(wind.drift(11.0), wind.drift(10.0))
        assert np.hypot(moved_east, moved_north) == pytest.approx(np.hypot(east, north), rel=1e-4)
        turn = np.angle((moved_east + 1j * moved_north) / (east + 1j * north), deg=True)
        assert turn == pytest.approx(-20, abs=0.01)

    @pytest.mark.slow
    def test_field_has_mean_0_and_variance_1(self) -> None:
        x, y = np.meshgrid(np.arange(0, 240, 3.0), np.arange(0, 180, 3.0))
        fields = [RandomField(np.random.default_rng(i), 8.0, 3.0).at(2.0, x, y) for i in range(30)]
        assert np.mean(fields) == pytest.approx(0, abs=0.01)
        assert np.std(fields) == pytest.approx(1, abs=0.05)

    @pytest.mark.slow
    def test_field_varies_alike_in_both_directions(self) -> None:
        x, y = np.meshgrid(np.arange(0, 240, 3.0), np.arange(0, 180, 3.0))
        fields = np.array([RandomField(np.random.default_rng(i), 8.0, 3.0).at(2.0, x, y) for i in range(30)])
        steps = [np.diff(fields, axis=axis).std() for axis in (1, 2)]
        assert steps[0] == pytest.approx(steps[1], rel=0.05)
        assert steps[0] < 0.7  # neighbours 3 km apart are alike

    @pytest.mark.slow
    def test_field_forgets(self) -> None:
        x, y = np.meshgrid(np.arange(0, 240, 3.0), np.arange(0, 180, 3.0))
        field = RandomField(np.random.default_rng(0), 8.0, 3.0)
        now, soon, late = (field.at(day, x, y).ravel() for day in (0.0, 0.2, 30.0))
        assert np.corrcoef(now, soon)[0, 1] > 0.95
        assert abs(np.corrcoef(now, late)[0, 1]) < 0.2


class TestState:
    @pytest.mark.slow
    def test_layout(self, august: LakeState) -> None:
        assert august.phycocyanin.shape == august.land.shape == (60, 92)
        assert august.latitude[0] == pytest.approx(42.1 - 0.00625)
        assert august.longitude[0] == pytest.approx(-83.55 + 0.00625)
        assert (np.diff(august.latitude) < 0).all()
        assert 0.3 < august.land.mean() < 0.6

    @pytest.mark.slow
    def test_fields_are_missing_on_land_only(self, august: LakeState) -> None:
        for values in (*(getattr(august, name) for name in FIELDS), *august.properties.values()):
            assert np.array_equal(np.isnan(values), august.land)
            assert (values[~august.land] >= 0).all()
        assert ((august.cloud >= 0) & (august.cloud <= 1)).all()

    @pytest.mark.slow
    def test_water_gives_spectra(self, august: LakeState) -> None:
        water = august.water()
        assert water.shape == august.land.shape
        assert np.array_equal(water.minerals, august.minerals, equal_nan=True)
        assert np.array_equal(water.cdom_slope, august.properties["cdom_slope"], equal_nan=True)
        Rrs = band_reflectance(water, named_sensor("oci-aop-v3"))
        assert ((Rrs[~august.land] > 0) & (Rrs[~august.land] < 0.15)).all()

    @pytest.mark.slow
    def test_does_not_depend_on_what_was_asked_before(self, august: LakeState) -> None:
        other = SimulatedLake(seed=5)
        for day in ("2023-07-01", "2024-10-01", "2024-08-12"):
            other.state(np.datetime64(day))
        assert equal(other.state(august.time), august)

    @pytest.mark.slow
    def test_a_year_does_not_depend_on_the_others(self, august: LakeState) -> None:
        assert equal(SimulatedLake(seed=5, years=(2024,)).state(august.time), august)

    @pytest.mark.slow
    def test_seeds_and_years_differ(self, lake: SimulatedLake, august: LakeState) -> None:
        for other in (
            SimulatedLake(seed=6).state(august.time),
            lake.state(np.datetime64("2023-08-12T18:00")),
        ):
            assert not np.isclose(other.phycocyanin, august.phycocyanin).any()
            assert not np.array_equal(other.cloud, august.cloud)

    @pytest.mark.slow
    def test_resolution_changes_the_grid_not_the_lake(self, august: LakeState) -> None:
        fine = SimulatedLake(seed=5, resolution=0.0125 / 3).state(august.time)
        middle = fine.phycocyanin[1::3, 1::3]  # middles of the coarse cells
        both = ~np.isnan(middle) & ~august.land
        assert both.sum() > 2500
        assert middle[both] == pytest.approx(august.phycocyanin[both], rel=1e-6)

    @pytest.mark.slow
    def test_sample_is_the_state_at_a_place(self, lake: SimulatedLake, august: LakeState) -> None:
        row, column = 30, 40
        values = lake.sample(august.time, august.latitude[row], august.longitude[column])
        assert set(values) == set(FIELDS)
        for name, value in values.items():
            assert value == pytest.approx(getattr(august, name)[row, column])

    @pytest.mark.slow
    def test_optics_are_those_of_the_state_at_a_place(self, lake: SimulatedLake, august: LakeState) -> None:
        row, column = 30, 40
        values = lake.optics(august.time, august.latitude[row], august.longitude[column])
        assert set(values) == set(PROPERTIES)
        for name, value in values.items():
            assert value == pytest.approx(august.properties[name][row, column], rel=1e-9)
        # Half of -0.7 dex is taken off the middle then, and nothing is as far off by chance.
        assert values["mineral_backscattering_555"] == pytest.approx(0.0113 / 10**0.35, rel=0.15)

    @pytest.mark.slow
    def test_neighbours_and_hours_are_alike_and_weeks_are_not(self, lake: SimulatedLake) -> None:
        start = np.datetime64("2024-08-05T18:00")
        now, hour, month = (
            np.log10(lake.state(start + np.timedelta64(hours, "h")).phycocyanin) for hours in (0, 1, 700)
        )
        water = ~np.isnan(now)
        assert np.abs(now - hour)[water].mean() < 0.1 < np.abs(now - month)[water].mean()
        assert np.nanstd(np.diff(now, axis=1)) < 0.4 * np.nanstd(now)  # white noise: 1.4

    @pytest.mark.slow
    def test_toxin_per_pigment_changes_with_year_and_season(self) -> None:
        lake = SimulatedLake(seed=2, years=tuple(range(2000, 2012)))
        ratio = np.array(
            [[toxin_ratio(lake, f"{year}-{day}") for year in lake.years] for day in ("08-15", "10-10")]
        )
        assert np.median(ratio[0] - ratio[1]) > 0.25  # dex
        assert 0.15 < ratio[0].std() < 0.6

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kwargs", "match"),
        [
            ({"seed": -1}, "seed of 0 or more"),
            ({"seed": 0, "years": ()}, "years from 1900"),
            ({"seed": 0, "resolution": 0.5}, "resolution from 0.001 to 0.1"),
            ({"seed": 0, "cloudiness": 1.5}, "cloudiness from 0 to 1"),
        ],
    )
    def test_impossible_settings_are_refused(self, kwargs: dict[str, object], match: str) -> None:
        with pytest.raises(SimulationError, match=match):
            SimulatedLake(**kwargs)  # type: ignore[arg-type]

    @pytest.mark.slow
    def test_other_years_are_refused(self, lake: SimulatedLake) -> None:
        with pytest.raises(SpectmError, match="none of the simulated years \\(2023, 2024\\)"):
            lake.state(np.datetime64("2022-08-01"))


def toxin_ratio(lake: SimulatedLake, day: str) -> float:
    """Mean log10 of microcystin per phycocyanin at the stations."""
    values = lake.sample(np.datetime64(day) + NOON, *np.transpose(list(STATIONS.values())))
    return float(np.log10(values["microcystin"] / values["phycocyanin"]).mean())


def typical(days: list[str]) -> dict[str, np.ndarray]:
    """Median of each field over days of twelve years, at `PLACES`."""
    lake = SimulatedLake(seed=1, years=tuple(range(2000, 2012)))
    rows = [
        lake.sample(np.datetime64(f"{year}-{day}") + NOON, *np.transpose(list(PLACES.values())))
        for year in lake.years
        for day in days
    ]
    return {name: np.median([row[name] for row in rows], axis=0) for name in FIELDS}


class TestWhereAndWhen:
    @pytest.mark.slow
    def test_rivers_are_the_sources(self) -> None:
        fields = typical(["08-05", "08-20", "09-05"])
        maumee, detroit, east = (np.array([fields[n][i] for n in FIELDS]) for i in range(3))
        for name in ("chlorophyll", "phycocyanin", "cdom_440", "minerals", "microcystin"):
            i = FIELDS.index(name)
            assert maumee[i] > 2 * max(detroit[i], east[i]), name
        minerals = FIELDS.index("minerals")
        assert detroit[minerals] < east[minerals]

    @pytest.mark.slow
    def test_bloom_grows_and_declines(self) -> None:
        june, august, october = (typical([f"{month}-10", f"{month}-25"]) for month in ("06", "08", "10"))
        for name in ("phycocyanin", "microcystin"):
            assert (august[name] > 5 * june[name]).all()
            assert (august[name] > 4 * october[name]).all()

    def test_course_passes_through_its_points(self) -> None:
        habit = HABITS["phycocyanin"]
        assert habit.usual(227) == pytest.approx(habit.course[5])
        assert habit.usual(1) == habit.usual(45)
        assert habit.course[5] > habit.usual(240) > habit.course[6]

    def test_pigments_and_solids(self) -> None:
        # At 17 mg m^-3 of phycocyanin the powers make no difference; 8 g and 37.5 mg make (8 + 3) / 1.1 NTU.
        assert cyano_chlorophyll(np.array(17.0)) == pytest.approx(17)
        assert cyano_chlorophyll(np.array(170.0)) == pytest.approx(17 * 10**0.7)
        assert microcystin(np.array(17.0), np.array(0.1)) == pytest.approx(1.7)
        assert microcystin(np.array(170.0), np.array(0.1)) == pytest.approx(1.7 * 10**0.78)
        assert turbidity(np.array(10.63), np.array(1.0)) == pytest.approx(10)
        assert suspended_solids(np.array(1.0), np.array(100.0)) == pytest.approx(1 + 0.37 * 100**0.74)

    def test_properties_keep_their_bounds(self) -> None:
        slope = Property(middle=0.0172, spread=0.001, low=0.014, high=0.019, relative=False)
        assert slope.values(100.0, np.array([-9.0, 1.0, 9.0])) == pytest.approx([0.014, 0.0182, 0.019])
        bright = Property(middle=0.03, spread=0.2, low=0.001, high=1.0)
        assert bright.values(100.0, np.array([0.0, 1.0])) == pytest.approx([0.03, 0.03 * 10**0.2])
        assert all(one.low <= one.middle <= one.high for one in PROPERTIES.values())

    def test_properties_have_their_summer(self) -> None:
        fine = Property(middle=0.03, spread=0.1, low=0.001, high=1.0, summer=-0.6)
        winter, august = (fine.values(day, np.zeros(1))[0] for day in (0.0, 221.0))
        assert (winter, august) == pytest.approx((0.03 * 10**0.3, 0.03 * 10**-0.3), rel=1e-5)
        # 38 days before its height, summer has reached exp(-1/2) = 0.607 of it.
        assert fine.values(183.0, np.zeros(1)) == pytest.approx([0.03 * 10 ** (-0.6 * 0.10653)], rel=1e-4)

    def test_crowded_parts_do_less_for_each_mg(self) -> None:
        held = {one.field: np.array([1.0, 2.0]) * one.pivot for one in CROWDING.values()}
        plain = {name: np.array([3.0, 3.0]) for name in (*CROWDING, "cdom_slope")}
        found = crowded(plain, held)
        for name, one in CROWDING.items():
            assert found[name] == pytest.approx([3.0, 3.0 * 2**-one.power])
            assert 0 < one.power < 1  # all of it together still does more
        assert found["cdom_slope"] is plain["cdom_slope"]

    @pytest.mark.slow
    def test_scum_needs_calm_and_much(self) -> None:
        lake = SimulatedLake(seed=4, years=tuple(range(2000, 2010)))
        times = [np.datetime64(f"{year}-08-{day}T18:00") for year in lake.years for day in range(10, 31)]
        wind = np.array([lake.wind_speed(time) for time in times])
        chosen = (wind < 1.7) | (np.arange(wind.size) % 10 == 0)
        rows = [lake.sample(times[i], *zip(*STATIONS.values(), strict=True)) for i in np.flatnonzero(chosen)]
        scum, cyano = (
            np.array([row[name] for row in rows]) for name in ("scum_fraction", "cyano_chlorophyll")
        )
        calm, windy = wind[chosen] < 1.7, wind[chosen] > 6
        assert (scum <= 0.4).all()
        assert scum[windy].max() < 0.01
        assert scum[cyano < 20].max() < 0.01
        dense = scum[calm[:, None] & (cyano > 90)]
        assert dense.size > 3
        assert dense.min() > 0.17


class TestSky:
    X, Y = np.meshgrid(np.arange(0.0, 95, 2), np.arange(0.0, 83, 2))

    @pytest.mark.slow
    def test_cloudiness_is_met(self) -> None:
        cloud = [Sky((1, 2), 0.6).at(day + 0.75, self.X, self.Y).mean() for day in range(0, 360, 2)]
        assert np.mean(cloud) == pytest.approx(0.6, abs=0.06)
        assert np.mean(np.less(cloud, 0.15)) > 0.05  # clear days
        assert np.mean(np.greater(cloud, 0.9)) > 0.15  # overcast ones

    @pytest.mark.slow
    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_never_or_always(self, share: float) -> None:
        assert (Sky((1, 2), share).at(200.7, self.X, self.Y) == share).all()

    @pytest.mark.slow
    def test_clouds_move_within_a_day_and_change_overnight(self) -> None:
        later, next_day = [], []
        sky = Sky((3, 4), 0.5)
        for day in range(100, 160):
            noon, soon, tomorrow = (sky.at(day + d, self.X, self.Y) for d in (0.75, 0.752, 1.75))
            if 0.2 < noon.mean() < 0.8:
                later.append(np.mean(np.abs(noon - soon)))
                next_day.append(np.mean(np.abs(noon - tomorrow)))
        assert len(later) > 15
        assert np.mean(later) < 0.25 * np.mean(next_day)

    @pytest.mark.slow
    def test_edges_are_few(self) -> None:
        cloud = np.array([Sky((5, 6), 0.5).at(day + 0.75, self.X, self.Y) for day in range(100, 130)])
        assert np.mean((cloud > 0.05) & (cloud < 0.95)) < 0.3
