import numpy as np
import pytest

from spectm.apps.polygons import parse_polygon
from spectm.data.grid import Grid
from spectm.errors import RegionError

GRID = Grid(west=10.0, north=50.0, resolution=1.0, n_rows=4, n_columns=5)


def polygon(*rings: list[list[float]]) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def test_cells_whose_centres_lie_inside_a_triangle() -> None:
    # Below the line from (10, 50) to (14, 46): centres (10.5, 48.5), (10.5, 47.5), (11.5, 47.5), ...
    found = parse_polygon(polygon([[10, 50], [14, 46], [10, 46]]), where="here").cells(GRID)
    expected = np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(found | np.eye(4, 5, dtype=bool), expected | np.eye(4, 5, dtype=bool))


def test_a_hole_is_left_out_and_a_bare_list_is_a_ring() -> None:
    ring = [[10, 46], [15, 46], [15, 50], [10, 50], [10, 46]]
    assert parse_polygon(ring, where="here").cells(GRID).all()
    hole = [[11, 47], [14, 47], [14, 49], [11, 49]]
    feature = {"type": "Feature", "geometry": polygon(ring, hole)}
    found = parse_polygon(feature, where="here").cells(GRID)
    assert found.sum() == 20 - 6
    assert not found[1:3, 1:4].any()


def test_a_polygon_over_the_date_line_may_be_written_on_either_side() -> None:
    grid = Grid(west=178.0, north=1.0, resolution=1.0, n_rows=2, n_columns=4)
    found = parse_polygon([[179, -1], [-179, -1], [-179, 1], [179, 1]], where="here").cells(grid)
    np.testing.assert_array_equal(found, [[False, True, True, False]] * 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, "wanted a GeoJSON polygon, found 'Point'"),
        (7, "found 'int'"),
        ({"type": "Feature", "geometry": None}, "found 'NoneType'"),
        (polygon([[0, 0], [1, 1]]), "at least three corners"),
        (polygon([[0, 0], [1, 1], [0, 0]]), "at least three corners"),
        (polygon([[0, 0], [1, 1], ["a", 2]]), "wanted corners"),
        (polygon([[0, 0], [1], [2, 2]]), "wanted corners"),
        (polygon([[500000, 0], [1, 1], [2, 0]]), "Is it projected"),
        (polygon([[float("nan"), 0], [1, 1], [2, 0]]), "within 180"),
        ({"type": "Polygon"}, "a list of rings"),
        (
            polygon([[0, number] for number in np.linspace(0, 1, 20_000)]),
            "at most 10000 corners, found 20000",
        ),
    ],
)
def test_refuses_what_is_no_polygon(given: object, said: str) -> None:
    with pytest.raises(RegionError, match="here: ") as caught:
        parse_polygon(given, where="here")
    assert said in str(caught.value)
