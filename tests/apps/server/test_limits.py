from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from spectm.apps.server.app import Bounds, create_app
from spectm.apps.server.areas import Area
from spectm.apps.server.limits import RateLimit


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    now = 0.0
    limit = RateLimit(lambda *_: None, rate=2.0, reserve=3.0, clock=lambda: now)  # type: ignore[arg-type]
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b")  # another client has its own
    now = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    now = 1000.0
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]


def test_too_many_requests_are_asked_to_wait(area: Area) -> None:
    client = TestClient(create_app({"week": area}, Bounds(rate=1e-6, reserve=2)))
    assert [client.get("/api/v1/health").status_code for _ in range(3)] == [200, 200, 429]
    answer = client.get("/api/v1/health")
    assert answer.headers["retry-after"] == "1"
    assert "at most" in answer.json()["detail"]


def test_a_long_body_is_refused_whether_or_not_it_says_so(client: TestClient) -> None:
    def in_parts() -> Iterator[bytes]:
        for _ in range(300):
            yield b"[" * 1000

    assert client.post("/api/v1/areas/week/polygon", content=b"1" * 200_001).status_code == 413
    assert client.post("/api/v1/areas/week/polygon", content=in_parts()).status_code == 413
    assert client.post("/api/v1/areas/week/polygon", content=b"[" * 100_000).status_code in (400, 422)


@pytest.mark.parametrize(
    ("address", "code"),
    [("/api/v1/health", 200), ("/api/v1/none", 404), ("/api/v1/areas/week/overlay.png", 200), ("/none", 404)],
)
def test_every_answer_says_what_a_browser_may_run(client: TestClient, address: str, code: int) -> None:
    answer = client.get(address)
    assert answer.status_code == code
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_page_elsewhere_cannot_reach_it_under_its_own_name(client: TestClient, area: Area) -> None:
    assert client.get("/api/v1/health", headers={"host": "evil.example"}).status_code == 400
    app = create_app({"week": area}, Bounds(hosts=("lake.example.org",)))
    assert TestClient(app, base_url="http://lake.example.org").get("/api/v1/health").status_code == 200
    assert (
        "access-control-allow-origin"
        not in client.get("/api/v1/health", headers={"origin": "http://x"}).headers
    )


@pytest.mark.parametrize(
    "path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd"]
)
def test_files_beside_the_page_are_not_served(client: TestClient, path: str) -> None:
    answer = client.get(f"/page/{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text
