"""Tables of places: given back as they came, with the numbers of the map, or with a reason."""

import csv
from pathlib import Path

import numpy as np
import pytest

from spectm.apps.fields import reasons_of
from spectm.apps.planning import Job, plan
from spectm.apps.points import REASONS_WITHOUT, PointsReport, predict_points
from spectm.apps.points_file import read_points
from spectm.apps.predict import predict_maps
from spectm.apps.store import Store, open_store
from spectm.data.cube import open_cube
from spectm.errors import PointsError
from spectm.trust.thresholds import profile

PROFILES = [profile("who-2020")]
PERIODS = ("2024-07-03", "2024-07-11", "2024-07-19")


@pytest.fixture(scope="module")
def out(model_folder: Path, cube: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps of all periods."""
    folder = tmp_path_factory.mktemp("points") / "out"
    predict_maps(plan(model_folder, cube, folder, PROFILES), workers=1)
    return folder


@pytest.fixture(scope="module")
def seen(cube: Path) -> np.ndarray:
    """Cells with a pixel, (time, lat, lon)."""
    with open_cube(cube) as opened:
        return opened["count"].values > 0


@pytest.fixture
def points(model_folder: Path, cube: Path, out: Path, tmp_path: Path):
    """Estimate a table written out as text, and read what comes back."""

    def estimate(text: str, **options) -> tuple[PointsReport, list[dict[str, str]]]:
        job = plan(model_folder, cube, out, PROFILES, **options)
        report = predict_points(job, table(tmp_path, text))
        with (out / "points.csv").open(encoding="utf-8", newline="") as file:
            return report, list(csv.DictReader(file))

    return estimate


def table(folder: Path, text: str):
    path = folder / "places.csv"
    path.write_bytes(text.encode())
    return read_points(path)


def cell(row: int, column: int) -> tuple[float, float]:
    """Centre of a cell of the lake."""
    return 42.0 - 0.0125 * (row + 0.5), -83.5 + 0.0125 * (column + 0.5)


@pytest.mark.slow
def test_a_point_says_what_its_cell_says(points, out: Path, seen: np.ndarray) -> None:
    """Every cell that is seen, in every period: the numbers of the map, to the last of six digits."""
    rows, columns = np.nonzero(seen.any(axis=0))
    lines = [f"{r},{c},{cell(r, c)[0]},{cell(r, c)[1]}" for r, c in zip(rows, columns, strict=True)]
    report, found = points("\n".join(["row,column,latitude,longitude", *lines]) + "\n")
    assert report.n_lines == 3 * len(lines) == len(found)
    assert report.n_estimates == int(seen.sum())
    maps = open_store(out).dataset.load()
    at = tuple(
        np.array(values)
        for values in zip(
            *((PERIODS.index(line["period_start"]), int(line["row"]), int(line["column"])) for line in found),
            strict=True,
        )
    )
    here = seen[at]
    assert {line["reason"] for line, there in zip(found, here, strict=True) if there} == {""}
    hidden = [line for line, there in zip(found, here, strict=True) if not there]
    assert {(line["microcystin_ug_per_l"], line["reason"]) for line in hidden} == {
        ("", "no pixel in this period")
    }
    wanted = {
        "microcystin_ug_per_l": maps["microcystin"].sel(horizon=0),
        "ahead_microcystin_ug_per_l": maps["microcystin"].sel(horizon=8),
        "high90_ug_per_l": maps["interval_high"].sel(horizon=0, level=0.9),
        "ahead_low50_ug_per_l": maps["interval_low"].sel(horizon=8, level=0.5),
        "above_12_probability": maps["exceedance"].sel(horizon=0, threshold=12),
        "below_detection_probability": maps["below_detection"].sel(horizon=0),
    }
    for name, values in wanted.items():
        of_lines = np.array([float(line[name] or "nan") for line in found])
        np.testing.assert_allclose(of_lines, values.values[at], rtol=6e-6, atol=1e-30, err_msg=name)
    flagged, bits = maps["flagged"].values[at], maps["applicability"].values[at]
    assert [line["flagged"] for line in found] == [
        {0: "no", 1: "yes", 255: ""}[one] for one in flagged.tolist()
    ]
    assert [line["reasons"] for line in found] == ["; ".join(reasons_of(one)) for one in bits.tolist()]
    assert {line["n_pixels"] for line, there in zip(found, here, strict=True) if there} == {"1"}
    assert max(float(line["distance_km"]) for line in found) < 1e-6
    for line, age in zip(found, maps["pixel_age"].values[at], strict=True):
        if line["observation_time"]:
            end, observed = np.datetime64(line["period_end"], "s"), line["observation_time"].rstrip("Z")
            assert (end - np.datetime64(observed)) / np.timedelta64(1, "D") == pytest.approx(age, abs=1e-4)


@pytest.mark.slow
def test_rows_come_back_in_order_as_they_came(points, seen: np.ndarray) -> None:
    r, c = np.argwhere(seen[1])[0]
    north, east = cell(r, c)
    text = (
        "Who, where ,Lat,LON,date,note,formula\n"
        f'"Smith, J.",a,{north},{east},2024-07-12,007,=1+1\n'
        "\n"
        f"B,b,{north - 0.005},{east},2024-07-18T23:59:59Z, keep ,-3.50\n"
        f'C,"two\nlines",{north},{east},2024-07-19T01:00+02:00,@home,+1e3\n'
    )
    report, found = points(text)
    assert [line["Who"] for line in found] == ["Smith, J.", "B", "C"]
    assert [line[" where "] for line in found] == ["a", "b", "two\nlines"]
    assert [line["note"] for line in found] == ["007", " keep ", "'@home"]
    assert [line["formula"] for line in found] == ["'=1+1", "-3.50", "+1e3"]
    assert [line["period_start"] for line in found] == ["2024-07-11"] * 3
    assert (report.n_rows, report.n_estimates) == (3, 3)
    assert float(found[1]["distance_km"]) == pytest.approx(0.556, abs=1e-3)  # 0.005 degrees of a meridian
    assert found[0]["cell"] == f"r{r:04d}c{c:04d}"
    assert found[0]["microcystin_ug_per_l"] == found[1]["microcystin_ug_per_l"]
    assert all("dissolved toxin" in line["about"] for line in found)


@pytest.mark.slow
def test_a_row_without_a_date_has_a_line_for_each_period_asked_for(points, seen: np.ndarray) -> None:
    north, east = cell(*np.argwhere(seen[2])[0])
    text = f"latitude,longitude,date\n{north},{east},\n{north},{east},2024-07-03\n"
    report, found = points(text, periods=("latest", "2024-07-11"))
    assert [line["period_start"] for line in found] == ["2024-07-11", "2024-07-19", "2024-07-03"]
    assert (report.n_rows, report.n_lines) == (2, 3)


@pytest.mark.slow
def test_every_reason(points, seen: np.ndarray) -> None:
    water = np.argwhere(seen.any(axis=0) & ~seen[1])[0]
    north, east = cell(*water)
    lines = {
        "outside the cube": "43.0,-80.0,2024-07-12",
        "no position": ",-83.4,2024-07-12",
        "on land or never seen": f"{cell(0, 10)[0]},{cell(0, 10)[1]},2024-07-12",
        "before the first period": f"{north},{east},2024-07-02",
        "in the future": f"{north},{east},2024-07-27",
        "no pixel in this period": f"{north},{east},2024-07-12",
    }
    report, found = points("\n".join(["latitude,longitude,date", *lines.values()]) + "\n")
    assert [line["reason"] for line in found] == list(lines)
    assert all(line["microcystin_ug_per_l"] == line["flagged"] == "" for line in found)
    assert report.without == dict.fromkeys(sorted(lines), 1)
    assert report.n_estimates == 0
    assert set(lines) | {"no complete period"} == set(REASONS_WITHOUT)
    assert "its estimates ahead" in REASONS_WITHOUT["in the future"]


@pytest.mark.slow
def test_a_period_that_is_not_whole(points, model_folder: Path, tmp_path: Path) -> None:
    from tests.apps.conftest import FIRST, lake
    from tests.data.cubes import make_cube
    from tests.study import BANDS_NM

    path = make_cube(tmp_path / "c.zarr", lake(3, (4, 5)), first=FIRST, wavelength=BANDS_NM, unfinished=(1,))
    with open_cube(path) as opened:
        row, column = np.argwhere(opened["count"].values[0] > 0)[0]
    north, east = cell(row, column)
    job = plan(model_folder, path, tmp_path / "out", PROFILES, maps=False)
    report = predict_points(job, table(tmp_path, f"lat,lon,date\n{north},{east},2024-07-12\n"))
    assert report.without == {"no complete period": 1}


@pytest.mark.slow
def test_points_alone(model_folder: Path, cube: Path, tmp_path: Path, seen: np.ndarray) -> None:
    north, east = cell(*np.argwhere(seen[0])[0])
    job: Job = plan(model_folder, cube, tmp_path / "out", PROFILES, maps=False)
    predict_points(job, table(tmp_path, f"name,latitude,longitude\nA,{north},{east}\n"))
    store: Store = open_store(tmp_path / "out")
    assert sorted(path.name for path in store.folder.iterdir()) == ["points.csv", "run.json"]
    assert store.points is not None
    assert store.points["name"].tolist() == ["A"] * 3
    assert store.points["microcystin_ug_per_l"].notna().sum() == 3 - (store.points["reason"] != "").sum()
    known = store.record["points"]
    assert (known["file"], known["n_rows"], known["n_lines"]) == ("places.csv", 1, 3)
    predict_maps(plan(model_folder, cube, tmp_path / "out", PROFILES, periods=("latest",)), workers=1)
    both = open_store(tmp_path / "out")
    assert both.record["points"] == known
    assert both.dataset.sizes["time"] == 1


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert table(tmp_path, "\ufefflatitude,longitude\r\n41.7,-83.3\r\n").latitude.tolist() == [41.7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a line with the names of columns, found an empty file"),
        (b"latitude,longitude\n", r"at least one place below line 1, found none"),
        (b"name,longitude\nA,-83\n", r"line 1: wanted a column latitude, found name, longitude"),
        (b"latitude,y\n41,-83\n", r"line 1: wanted a column longitude"),
        (b"lat,latitude,lon\n1,1,1\n", r"line 1: wanted one column latitude, found 2"),
        (b"latitude;longitude\n41,7;-83,3\n", r"line 1: wanted a column latitude|found semicolons"),
        (b"latitude;longitude\n41;-83\n", r"line 1: wanted commas between cells, found semicolons"),
        (b"latitude\tlongitude\n41\t-83\n", r"line 1: wanted commas between cells, found tabs"),
        (
            b"latitude,longitude\n41.7,-83.3\n41,7,-83,3\n",
            r"line 3: wanted 2 cells .* found 4.*decimal comma",
        ),
        (
            b"latitude,longitude\n41.7N,-83.3\n",
            r"line 2: wanted latitude in decimal degrees .* found '41.7N'",
        ),
        (b"latitude,longitude\n41.7,inf\n", r"line 2: wanted longitude in decimal degrees .* found 'inf'"),
        (
            b"latitude,longitude\n\n41.7,276.7\n",
            r"line 3: wanted a longitude .* found 276.7. Subtract 360: -83.3",
        ),
        (b"latitude,longitude\n-98.3,41.7\n", r"line 2: wanted a latitude .* found -98.3. Are .* swapped"),
        (b"latitude,longitude\n4620000,308000\n", r"line 2: wanted a latitude .* Projected coordinates"),
        (b"latitude,longitude\n41.7,-308000\n", r"line 2: wanted a longitude .* Projected coordinates"),
        (b"latitude,longitude,date\n41.7,-83.3,8/4/2024\n", r"line 2: wanted a date such as 2024-08-12"),
        (
            b"latitude,longitude,name\n41.7,-83.3,Put-in-Bay\n41.7,-83.3,Pel\xe9e\n",
            r"line 3: wanted UTF-8, .* 0xe9",
        ),
        ("latitude,longitude\n".encode("utf-16"), r"line 1: wanted UTF-8, found a byte 0xff"),
        (b'latitude,longitude\n41.7,"-83.3\n' + b"x" * 140_000, r"line \d+: wanted a CSV, found"),
    ],
    ids=[
        *("empty", "no rows", "no latitude", "no longitude", "two latitudes", "semicolons and commas"),
        *("semicolons", "tabs", "decimal comma", "text", "infinite", "0-360", "swapped", "projected"),
        *("projected east", "date", "not UTF-8", "UTF-16", "open quote"),
    ],
)
def test_malformed_tables(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "places.csv").write_bytes(content)
    with pytest.raises(PointsError, match=message) as raised:
        read_points(tmp_path / "places.csv")
    assert "places.csv" in str(raised.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="found nothing at"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(PointsError, match="found a folder at"):
        read_points(tmp_path)


@pytest.mark.slow
def test_swapped_coordinates_that_could_be_right(points) -> None:
    """-83.45 is a latitude too, near the other pole."""
    with pytest.raises(PointsError, match=r"line 3: latitude -83.45 and longitude 41.95 .* Swap the columns"):
        points("latitude,longitude\n41.95,-83.45\n-83.45,41.95\n")


@pytest.mark.slow
def test_a_name_that_is_taken(points) -> None:
    with pytest.raises(PointsError, match=r"found above_1_probability, reason. Rename them"):
        points("latitude,longitude,reason,above_1_probability\n41.95,-83.45,x,1\n")
