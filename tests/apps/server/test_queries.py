"""The numbers behind are those of `tests.apps.stores`: the estimate is a formula of row and column."""

import csv
import io
import re

import numpy as np
import pytest
from fastapi.testclient import TestClient

from spectm.apps.moment import moment_at
from spectm.apps.shores import water_of
from spectm.apps.store import Store
from tests.apps.server.conftest import SCRIPT

API = "/api/v1/areas/week"
ROWS, COLUMNS, SIDE, WEST, NORTH = 6, 8, 0.0125, -83.5, 42.0


def log10_of(number: int, row: int, column: int) -> float:
    return max(0.4 * number - 0.3 - 1.5 * column / COLUMNS + 0.3 * np.sin(row), -1.0)


def centre(row: int, column: int) -> dict[str, float]:
    return {"latitude": NORTH - (row + 0.5) * SIDE, "longitude": WEST + (column + 0.5) * SIDE}


def seen_cell(store: Store, number: int, *, seen: bool = True) -> tuple[int, int]:
    """Some cell on water that was seen in a period, or was not although it was in others."""
    found = moment_at(store, number)
    row, column = np.argwhere((found.seen == seen) & found.water)[-1]
    return int(row), int(column)


def test_says_what_is_served(client: TestClient) -> None:
    assert client.get("/api/v1/health").json()["status"] == "ok"
    (only,) = client.get("/api/v1/areas").json()
    assert only["id"] == "week"
    assert only["bounds"] == pytest.approx([-83.5, 41.925, -83.4, 42.0])
    area = client.get(API).json()
    assert area["simulated"]
    assert area["banner"].startswith("Simulated")
    assert area["latest"] == "2024-08-20"
    assert {(one["profile"], one["value"]) for one in area["thresholds"]} >= {
        ("who-2020", 24.0),
        ("epa-2019", 8.0),
    }
    assert area["looks"]["estimate"]["stops"][0][0] == pytest.approx(0.1)
    assert not area["can_explain"]  # its cube does not exist


def test_periods_and_what_their_forecast_is_about(client: TestClient) -> None:
    periods = client.get(f"{API}/periods").json()
    assert [one["first"] for one in periods] == ["2024-08-04", "2024-08-12", "2024-08-20"]
    assert periods[1]["label"] == "12 to 19 August 2024"
    assert periods[1]["ahead_label"] == "20 to 27 August 2024"


def test_a_point_has_the_estimates_of_its_cell(client: TestClient, week: Store) -> None:
    row, column = seen_cell(week, 1)
    asked = {**centre(row, column), "period": "2024-08-15", "threshold": 3.3}
    found = client.get(f"{API}/point", params=asked).json()
    now, ahead = found["estimates"]
    assert found["cell"] == f"r{row}c{column}"
    assert now["microcystin"] == pytest.approx(10 ** log10_of(1, row, column), rel=1e-5)
    assert ahead["microcystin"] == pytest.approx(10 ** (0.5 * log10_of(1, row, column)), rel=1e-5)
    assert now["low90"] <= now["low50"] <= now["microcystin"] <= now["high50"] < now["high90"]
    above = {one["threshold"]: one["probability"] for one in now["exceedance"]}
    assert list(above) == sorted(above)
    assert 3.3 in above
    assert list(above.values()) == sorted(above.values(), reverse=True)
    assert found["reason"] is None
    assert found["n_observations"] > 0


def test_says_why_there_is_no_estimate(client: TestClient, week: Store) -> None:
    cloud = client.get(f"{API}/point", params=centre(*seen_cell(week, 2, seen=False))).json()
    assert "cloud" in cloud["reason"]
    assert cloud["estimates"][0]["microcystin"] is None
    assert cloud["estimates"][0]["exceedance"][0]["probability"] is None
    moment = moment_at(week, 2)
    row, column = np.argwhere(~water_of(moment.grid, moment.water))[0]
    land = client.get(f"{API}/point", params=centre(row, column)).json()
    assert land["reason"] == "land, or water that was never seen"


def test_the_weeks_of_a_place(client: TestClient, week: Store) -> None:
    row, column = seen_cell(week, 2)
    weeks = client.get(f"{API}/series", params={**centre(row, column), "horizon": 8}).json()
    assert [one["about"] for one in weeks] == ["2024-08-16", "2024-08-24", "2024-09-01"]
    assert weeks[2]["microcystin"] == pytest.approx(10 ** (0.5 * log10_of(2, row, column)), rel=1e-5)
    assert all(one["laboratory"] is None for one in weeks)


def test_stations_are_those_on_the_maps(client: TestClient) -> None:
    stations = client.get(f"{API}/stations", params={"period": "2024-08-04"}).json()
    assert [one["name"] for one in stations] == ["Pier", SCRIPT]
    table = list(csv.DictReader(io.StringIO(client.get(f"{API}/stations.csv?period=2024-08-04").text)))
    assert [one["station"] for one in table] == ["Pier", SCRIPT]
    for one, row in zip(stations, table, strict=True):
        value = one["estimates"][1]["microcystin"]
        assert row["ahead_microcystin_ug_per_l"] == ("" if value is None else f"{value:.6g}")


def test_every_cell_is_in_the_table(client: TestClient, week: Store) -> None:
    answer = client.get(f"{API}/cells.csv")
    assert 'filename="week-cells-latest.csv"' in answer.headers["content-disposition"]
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) == moment_at(week, 2).seen.sum()
    for row in table:
        place = int((NORTH - float(row["latitude"])) / SIDE), int((float(row["longitude"]) - WEST) / SIDE)
        assert float(row["microcystin_ug_per_l"]) == pytest.approx(10 ** log10_of(2, *place), rel=1e-4)


def test_a_polygon_sums_up_its_cells(client: TestClient, week: Store) -> None:
    corners = [
        [WEST, NORTH],
        [WEST + 3 * SIDE, NORTH],
        [WEST + 3 * SIDE, NORTH - 2 * SIDE],
        [WEST, NORTH - 2 * SIDE],
    ]
    body = {"type": "Polygon", "coordinates": [corners]}
    found = client.post(f"{API}/polygon", params={"threshold": 2.0}, json=body).json()
    points = [
        client.get(f"{API}/point", params={**centre(row, column), "threshold": 2.0}).json()
        for row in range(2)
        for column in range(3)
    ]
    seen = [one["estimates"][0] for one in points if one["reason"] is None]
    assert found["n_cells"] == 6
    assert found["n_estimates"] == len(seen)
    now = found["horizons"][0]
    assert now["highest"] == pytest.approx(max(one["microcystin"] for one in seen))
    above = [each["probability"] for one in seen for each in one["exceedance"] if each["threshold"] == 2.0]
    (mean,) = (one["mean_probability"] for one in now["exceedance"] if one["threshold"] == 2.0)
    assert mean == pytest.approx(np.mean(above))
    assert found["area_km2"] == pytest.approx(6 * (111.2 * SIDE) ** 2 * np.cos(np.deg2rad(42)), rel=1e-3)


def test_a_polygon_far_away_holds_nothing(client: TestClient) -> None:
    body = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}
    found = client.post(f"{API}/polygon", json=body).json()
    assert found["n_cells"] == 0
    assert found["seen_share"] is None
    assert found["horizons"][0]["median"] is None


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("/areas/nowhere", 404, "wanted one of the areas week"),
        ("/areas/..%2f..%2fetc", 404, "ot"),
        ("/areas/week/point?latitude=50&longitude=0", 404, "wanted a place on the maps of week"),
        ("/areas/week/point?latitude=95&longitude=0", 422, "latitude"),
        ("/areas/week/point?latitude=nan&longitude=0", 422, "latitude"),
        ("/areas/week/point?latitude=41.95", 422, "longitude"),
        ("/areas/week/point?latitude=41.95&longitude=-83.45&period=2031-01-01", 404, "2031-01-01"),
        ("/areas/week/point?latitude=41.95&longitude=-83.45&period=2024-02-31", 404, "2024-02-31"),
        ("/areas/week/point?latitude=41.95&longitude=-83.45&period=../x", 422, "period"),
        ("/areas/week/point?latitude=41.95&longitude=-83.45&threshold=0", 422, "threshold"),
        (
            "/areas/week/series?latitude=41.95&longitude=-83.45&horizon=3",
            404,
            "one of the horizons 0, 8",
        ),
        ("/areas/week/overlay.png?what=everything", 422, "what"),
        ("/areas/week/overlay.png?horizon=3", 404, "one of the horizons 0, 8"),
        ("/areas/week/overlay.png?threshold=inf&what=exceedance", 422, "threshold"),
        ("/areas/week/spectrum?latitude=41.95&longitude=-83.45", 404, "wanted a folder of a model"),
    ],
)
def test_refuses_with_a_sentence_and_no_path(client: TestClient, address: str, code: int, said: str) -> None:
    answer = client.get(f"/api/v1{address}")
    assert answer.status_code == code
    detail = answer.json()["detail"]
    assert said in detail
    assert not re.search(r"/(tmp|home|work|root|usr)\b", detail)


def test_an_unknown_profile_is_none_of_the_known(client: TestClient) -> None:
    known = {one["profile"] for one in client.get("/api/v1/thresholds").json()}
    assert {"who-2020", "epa-2015", "epa-2019"} <= known
    only = client.get("/api/v1/thresholds?profile=epa-2015").json()
    assert [one["value"] for one in only] == [0.3, 1.6]
    answer = client.get("/api/v1/thresholds?profile=epa-2016")
    assert answer.status_code == 404
    assert "did you mean" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "Point", "coordinates": [0, 0]}, 400),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [500000, 0]]]}, 400),
        ([1, 2, 3], 422),
        ({"type": "Polygon", "coordinates": [[[0.0, index / 20_000] for index in range(20_000)]]}, 413),
    ],
)
def test_refuses_polygons_that_are_none_or_huge(client: TestClient, body: object, code: int) -> None:
    answer = client.post(f"{API}/polygon", json=body)
    assert answer.status_code == code
    assert "detail" in answer.json()


def test_nothing_can_be_written(client: TestClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    ways = {(way, path.rpartition("/")[2]) for path, known in paths.items() for way in known}
    assert {way for way, _ in ways} == {"get", "post"}
    assert [path for way, path in ways if way == "post"] == ["polygon"]
    for way in ("PUT", "DELETE", "PATCH", "POST"):
        assert client.request(way, f"{API}/periods").status_code == 405
