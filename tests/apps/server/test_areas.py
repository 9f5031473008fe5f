import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spectm.apps.moment import periods_of
from spectm.apps.record import RECORD
from spectm.apps.server.app import create_app
from spectm.apps.server.areas import Area, find_areas
from spectm.apps.store import Store
from spectm.apps.store_writer import MAPS, drop_period, finish_period
from spectm.data.periods import Period
from spectm.errors import BusyError, StoreError
from tests.apps.stores import make_store


@pytest.fixture
def copy(week: Store, tmp_path: Path) -> Path:
    return Path(shutil.copytree(week.folder, tmp_path / "copy"))


def rewritten(folder: Path, period: Period) -> None:
    """What a writer does to a period that it makes anew, its cells apart."""
    known = json.loads((folder / RECORD).read_text())["periods"][str(period.start)]
    drop_period(folder / MAPS, period)
    finish_period(folder / MAPS, period, known)


@pytest.mark.slow
def test_asks_again_where_a_period_was_rewritten_meanwhile(copy: Path) -> None:
    area, asked = Area("copy", copy), []

    def question(now: object) -> int:
        asked.append(now)
        if len(asked) == 1:
            rewritten(copy, periods_of(asked[0].store)[1])
        return len(asked)

    assert area.ask(question) == 2
    assert asked[0] is not asked[1]  # the store was opened anew


@pytest.mark.slow
def test_gives_up_where_a_store_goes_on_changing(copy: Path) -> None:
    area = Area("copy", copy)
    with pytest.raises(BusyError, match="being written"):
        area.ask(lambda now: rewritten(copy, periods_of(now.store)[0]))


@pytest.mark.slow
def test_a_period_that_is_being_rewritten_is_not_shown(copy: Path) -> None:
    area = Area("copy", copy)
    client = TestClient(create_app({"copy": area}))
    drop_period(copy / MAPS, area.ask(lambda now: periods_of(now.store)[1]))
    found = client.get("/api/v1/areas/copy/periods").json()
    assert [one["first"] for one in found] == ["2024-08-04", "2024-08-20"]
    assert (
        client.get("/api/v1/areas/copy/point?latitude=41.95&longitude=-83.45&period=2024-08-15").status_code
        == 404
    )


@pytest.mark.slow
def test_a_store_that_is_gone_is_answered_for(copy: Path) -> None:
    client = TestClient(create_app({"copy": Area("copy", copy)}))
    record = (copy / RECORD).read_text()
    (copy / RECORD).write_text("{")
    answer = client.get("/api/v1/areas/copy")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert str(copy) not in answer.text
    (copy / RECORD).write_text(record)
    assert client.get("/api/v1/areas/copy").status_code == 200


@pytest.mark.slow
def test_a_new_period_is_seen_without_a_restart(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", unfinished=(2,))
    area = Area("store", folder)
    assert area.ask(lambda now: len(periods_of(now.store))) == 2
    first = area.ask(lambda now: periods_of(now.store))[1]
    third = Period(first.end, first.end + 8)
    finish_period(folder / MAPS, third, {"end": str(third.end), "n_estimates": 1, "n_flagged": 0})
    assert area.ask(lambda now: len(periods_of(now.store))) == 3


@pytest.mark.slow
def test_areas_are_named_after_folders_or_as_they_are_told(week: Store, tmp_path: Path) -> None:
    demo = tmp_path / "Western Lake 2024"
    shutil.copytree(week.folder, demo / "predictions")
    areas = find_areas([str(demo), f"Other={week.folder}"])
    assert list(areas) == ["western-lake-2024", "other"]
    with pytest.raises(StoreError, match="different names, found 'week' twice"):
        find_areas([str(week.folder), f"week={week.folder}"])
    with pytest.raises(StoreError, match="wanted a folder of predictions"):
        find_areas([str(tmp_path / "nothing")])
