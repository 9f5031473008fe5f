import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from matplotlib import colormaps
from PIL import Image

from spectm.apps.moment import moment_at
from spectm.apps.server.pictures import SIDE, mercator_rows
from spectm.apps.shores import water_of
from spectm.apps.store import Store
from tests.apps.server.test_queries import log10_of

API = "/api/v1/areas/week"


def picture(client: TestClient, **asked: str | float) -> np.ndarray:
    answer = client.get(f"{API}/overlay.png", params=asked)
    assert answer.headers["content-type"] == "image/png"
    return np.array(Image.open(io.BytesIO(answer.content)))


def test_cells_have_the_colour_of_their_value(client: TestClient, week: Store) -> None:
    found = picture(client, period="2024-08-12")
    moment = moment_at(week, 1)
    assert found.shape == (6 * SIDE, 8 * SIDE, 4)
    middle = found[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]
    np.testing.assert_array_equal(middle[..., 3] > 0, moment.seen | water_of(moment.grid, moment.water))
    assert (middle[~moment.seen & moment.water] == (0xB9, 0xC0, 0xC6, 255)).all()
    row, column = np.argwhere(moment.seen & ~moment.flagged)[0]
    share = (log10_of(1, row, column) + 1) / (np.log10(30) + 1)  # of the way from 0.1 to 30 ug/L
    expected = np.multiply(colormaps["viridis_r"](0.96 * share)[:3], 255)
    np.testing.assert_allclose(middle[row, column, :3], expected, atol=4)


def test_flagged_cells_are_hatched(client: TestClient, week: Store) -> None:
    found = picture(client, period="2024-08-04")
    moment = moment_at(week, 0)
    black = (found == (0, 0, 0, 255)).all(axis=2)
    for row, column in np.argwhere(moment.seen):
        cell = black[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        assert cell.any() == moment.flagged[row, column]


def test_exceedance_follows_the_threshold(client: TestClient) -> None:
    low, high = (picture(client, what="exceedance", threshold=one).astype(float) for one in (0.3, 20.0))
    seen = (low[..., 3] > 0) & (low[..., :3].sum(axis=2) > 0)
    assert low[seen][:, :3].mean() < high[seen][:, :3].mean()  # probable is dark


def test_rows_are_spaced_as_web_mercator_has_them() -> None:
    # Halfway between the equator and 60 degrees on that map lies 35.26 degrees.
    rows = mercator_rows(60.0, 1.0, 60, 1)
    assert rows.size == 60
    assert rows[29] == 60 - 35 - 1
    assert rows[30] == 60 - 34 - 1
    assert rows[0] == 0
    assert rows[-1] == 59
    assert (np.diff(rows) >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["estimate", "interval", "exceedance"])
def test_the_printed_map_is_a_picture(client: TestClient, what: str) -> None:
    answer = client.get(f"{API}/map.png", params={"what": what, "horizon": 8})
    assert Image.open(io.BytesIO(answer.content)).size[0] > 500
