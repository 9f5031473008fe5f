import numpy as np
import pytest

from spectm.data.regions import Region, parse_region, region_names
from spectm.errors import RegionError


def test_a_named_region_holds_the_stations_of_the_western_basin() -> None:
    west = parse_region("lake-erie-west")
    latitude, longitude = np.array([41.762, 41.701, 42.5, np.nan]), np.array([-83.33, -83.254, -83.0, -83.0])
    assert west.contains(latitude, longitude).tolist() == [True, True, False, False]


def test_typed_numbers_are_west_south_east_north() -> None:
    assert parse_region("-10,20,-5.5,30").bounds == (-10.0, 20.0, -5.5, 30.0)


def test_a_box_across_the_date_line_holds_both_sides() -> None:
    box = parse_region("179,-1,-179,1")
    assert box.crosses_date_line
    assert box.width == 2
    longitude = np.array([179.0, 180.0, -180.0, -179.0, 181.0, 178.9, -178.9, 0.0])
    assert box.contains(np.zeros(8), longitude).tolist() == [True] * 5 + [False] * 3


def test_longitudes_from_0_to_360_are_the_same_places() -> None:
    box = parse_region("-84,41,-82,42")
    assert box.contains(np.array([41.5]), np.array([276.5])).tolist() == [True]


@pytest.mark.parametrize(
    "text", ["-10,30,-5,20", "-10,20,-10,30", "-190,0,0,10", "0,-91,1,0", "0,0,1,nan"], ids=str
)
def test_an_empty_or_impossible_box_is_refused(text: str) -> None:
    with pytest.raises(RegionError, match="south below north"):
        parse_region(text)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RegionError, match="Did you mean lake-erie-west"):
        parse_region("lake-eire-west")
    with pytest.raises(RegionError, match="Known names: lake-erie-west"):
        parse_region("1,2,3")


def test_every_named_region_is_its_own_name() -> None:
    assert {parse_region(name).name for name in region_names()} == set(region_names())
    assert isinstance(parse_region("great-lakes"), Region)


@pytest.mark.parametrize(
    ("one", "two", "met"),
    [
        ("0,0,10,10", "5,5,15,15", True),
        ("0,0,10,10", "2,2,3,3", True),
        ("0,0,10,10", "10,10,20,20", True),
        ("0,0,10,10", "11,0,20,10", False),
        ("0,0,10,10", "0,11,10,20", False),
        ("170,0,-170,10", "-175,5,-160,20", True),
        ("170,0,-170,10", "-165,5,-160,20", False),
        ("-180,-90,180,90", "170,0,-170,10", True),
    ],
)
def test_boxes_that_share_a_place_meet(one: str, two: str, met: bool) -> None:
    first, second = parse_region(one), parse_region(two)
    assert first.meets(second) is second.meets(first) is met
