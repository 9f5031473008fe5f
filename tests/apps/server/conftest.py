"""A server over a small store, asked without a network."""

import pytest
from fastapi.testclient import TestClient

from spectm.apps.places import Station
from spectm.apps.server.app import create_app
from spectm.apps.server.areas import Area
from spectm.apps.store import Store

SCRIPT = "<script>alert(1)</script>"
STATIONS = [
    Station(name="Pier", latitude=41.99375, longitude=-83.49375),  # the middle of cell r0c0
    Station(name=SCRIPT, latitude=41.93125, longitude=-83.40625),  # r5c7
    Station(name="Elsewhere", latitude=50.0, longitude=0.0),
]


@pytest.fixture(scope="session")
def area(week: Store) -> Area:
    return Area("week", week.folder, stations=STATIONS)


@pytest.fixture(scope="session")
def client(area: Area) -> TestClient:
    return TestClient(create_app({"week": area}))
