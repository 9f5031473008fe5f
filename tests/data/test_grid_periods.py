from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectm.data.grid import Grid, Tile, grid_of_centres
from spectm.data.periods import period_of, periods_between
from spectm.data.regions import Region, parse_region
from spectm.errors import CubeError


def test_nasa_periods_start_on_day_1_9_17_and_361() -> None:
    starts = [
        str(period.start)
        for period in periods_between(np.datetime64("2024-01-01"), np.datetime64("2024-12-31"), 8)
    ]
    assert starts[:3] == ["2024-01-01", "2024-01-09", "2024-01-17"]
    assert starts[-1] == "2024-12-26"  # day 361 of a leap year
    assert len(starts) == 46
    last = period_of(np.datetime64("2024-12-31T23:59:59"), 8)
    assert (str(last), last.n_days) == ("2024-12-26 to 2024-12-31", 6)
    assert period_of(np.datetime64("2025-12-31"), 8).n_days == 5


@pytest.mark.slow
@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(1, 366))
def test_a_day_lies_in_its_period_and_periods_follow_without_gap(day: date, days: int) -> None:
    moment = np.datetime64(day)
    period = period_of(moment, days)
    assert period.start <= moment < period.end
    assert 1 <= period.n_days <= days
    following = period_of(period.end, days)
    assert following.start == period.end
    assert [period, following] == periods_between(period.start, period.end, days)


def test_a_period_of_one_day_is_named_by_it() -> None:
    assert str(period_of(np.datetime64("2024-08-04T17:53"), 1)) == "2024-08-04"


def test_impossible_periods_are_refused() -> None:
    with pytest.raises(CubeError, match="1 to 366 days, found 0"):
        period_of(np.datetime64("2024-08-04"), 0)
    with pytest.raises(CubeError, match="Swap them"):
        periods_between(np.datetime64("2024-08-04"), np.datetime64("2024-08-03"), 8)


def test_a_grid_covers_its_region_and_no_more() -> None:
    grid = Grid.over(parse_region("-83.55,41.35,-82.4,42.1"), 0.0125)
    assert grid.shape == (60, 92)  # 0.75 / 0.0125 and 1.15 / 0.0125
    assert grid.latitude[[0, -1]].tolist() == pytest.approx([42.09375, 41.35625])
    assert grid.longitude[[0, -1]].tolist() == pytest.approx([-83.54375, -82.40625])
    assert Grid.over(parse_region("0,0,1,1"), 0.3).shape == (4, 4)  # the last row reaches beyond


def test_a_place_on_an_edge_is_in_one_cell_south_and_east_of_it() -> None:
    grid = Grid(west=0, north=2, resolution=0.5, n_rows=4, n_columns=4)
    latitude, longitude = (
        np.array([2.0, 1.5, 1.25, 0.0, 2.1, np.nan]),
        np.array([0.0, 0.5, 1.99, 0.0, 0.0, 0.0]),
    )
    assert grid.cell_of(latitude, longitude, grid.whole).tolist() == [0, 5, 7, -1, -1, -1]


@pytest.mark.slow
@given(st.floats(-1, 3), st.floats(-1, 3))
def test_tiles_share_no_place_and_lose_none(latitude: float, longitude: float) -> None:
    grid = Grid(west=0, north=2, resolution=0.1, n_rows=20, n_columns=20)
    place = np.array([latitude]), np.array([longitude])
    whole = int(grid.cell_of(*place, grid.whole)[0])
    found = []
    for tile in grid.tiles(7, 9):
        cell = int(grid.cell_of(*place, tile)[0])
        if cell >= 0:
            row, column = divmod(cell, tile.shape[1])
            found.append((tile.first_row + row) * 20 + tile.first_column + column)
            assert grid.region_of(tile).contains(*place).all()
    assert found == ([whole] if whole >= 0 else [])


def test_a_grid_over_the_date_line() -> None:
    grid = Grid.over(Region(name="fiji", west=179, south=-1, east=-179, north=1), 0.5)
    assert grid.longitude.tolist() == [179.25, 179.75, 180.25, 180.75]
    longitude = np.array([179.3, -179.8, 180.2, -179.3, 178.9, -178.9])
    assert grid.cell_of(np.full(6, 0.9), longitude, grid.whole).tolist() == [0, 2, 2, 3, -1, -1]
    east = grid.region_of(Tile(first_row=0, last_row=4, first_column=2, last_column=4))
    assert east.contains(np.zeros(2), np.array([-179.9, 179.9])).tolist() == [True, False]


def test_a_grid_around_the_globe() -> None:
    grid = Grid.over(Region(name="all", west=-180, south=-90, east=180, north=90), 10)
    assert grid.shape == (18, 36)
    assert grid.cell_of(np.array([89.0, -89.0]), np.array([-180.0, 179.0]), grid.whole).tolist() == [0, 647]
    assert grid.region_of(grid.whole).contains(np.array([-90.0, 90.0]), np.array([179.9, -180.0])).all()


@pytest.mark.parametrize("flip", [1, -1])
def test_the_grid_of_a_map_keeps_its_centres(flip: int) -> None:
    lat, lon = np.arange(10, 12, 0.25, dtype=np.float32)[::flip], np.array([179.5, 179.75, -180.0, -179.75])
    grid = grid_of_centres(lat, lon)
    assert grid.latitude.tolist() == pytest.approx(sorted(lat.tolist(), reverse=True))
    assert grid.longitude.tolist() == pytest.approx([179.5, 179.75, 180.0, 180.25])
    there = np.meshgrid(lat, lon, indexing="ij")
    assert sorted(grid.cell_of(*there, grid.whole).ravel().tolist()) == list(range(32))


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(CubeError, match=r"in degrees, such as 0\.0125"):
        Grid(west=0, north=2, resolution=1000, n_rows=4, n_columns=4)
    with pytest.raises(CubeError, match="resolution in degrees above 0, found -1"):
        Grid.over(parse_region("0,0,1,1"), -1)
    with pytest.raises(CubeError, match="map of equal steps, found steps from 1 to 2"):
        grid_of_centres(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    with pytest.raises(CubeError, match="at least two rows and columns of a map, found 1 x 2"):
        grid_of_centres(np.array([1.0]), np.array([1.0, 3.0]))
