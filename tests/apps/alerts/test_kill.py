"""kill -9 at any moment: no alert is lost, and the journal reads whole."""

from pathlib import Path

import pytest

from spectm.apps.alerts.journal import read_journal
from spectm.apps.alerts.rules import read_rules
from spectm.apps.alerts.run import run_alerts
from spectm.apps.store import open_store
from tests.apps.alerts.at_work import desk
from tests.apps.stores import make_store
from tests.processes import python

N_KILLS = 12
DAYS = ("2024-08-04", "2024-08-12", "2024-08-20", "2024-08-28", "2024-09-05")

RULE = """
[rules.{name}]
latitude = {latitude}
longitude = -83.4688
threshold = {threshold}
probability = 0.01
repeat_after = 0
receivers = {receivers}
"""


def rules(folder: Path, port: int) -> Path:
    """Rules that nearly always fire, each told in every period."""
    parts = [
        RULE.format(name=f"r{i}", latitude=41.98 - 0.0125 * i, threshold=0.3, receivers='["desk", "second"]')
        for i in range(2)
    ]
    hook = "[receivers.{}]\nurl = 'http://127.0.0.1:{}/{}'\ntimeout = 5\n"
    path = folder / "alerts.toml"
    ends = [hook.format(name, port, name) for name in ("desk", "second")]
    path.write_text("\n".join([*parts, *ends]), encoding="utf-8")
    return path


@pytest.mark.slow
def test_kills_at_random_moments_lose_no_alert(tmp_path: Path) -> None:
    store = make_store(tmp_path / "week", n_periods=len(DAYS))
    with desk() as at:
        path = rules(tmp_path, at.port)
        out = tmp_path / "alerts"
        words = ["-W", "error", "-m", "tests.apps.alerts.kill", str(store), str(path), str(out), "1"]
        done = python(*words, str(N_KILLS), *DAYS)
        assert done.returncode == 0, done.stderr
        assert f"{len(DAYS)} of {len(DAYS)} ended" in done.stdout
        got = {name: [key for path, key in keys_of(at) if path == f"/{name}"] for name in ("desk", "second")}
    # What a single run of each day tells, in a journal of its own.
    expected = {
        alert["id"]
        for day in DAYS
        for alert in run_alerts(
            open_store(store), read_rules(silent(path)), tmp_path / "quiet" / day, wanted=day
        ).alerts
    }
    assert len(expected) > 12
    journal = read_journal(out)
    assert {one["id"] for one in journal.alerts} == expected
    assert len(journal.alerts) == len(expected)  # kept once each
    for name in got:
        assert set(got[name]) == expected  # and told at least once
    assert journal.waiting() == {}


def keys_of(at: object) -> list[tuple[str, str]]:
    return [(path, headers["Idempotency-Key"]) for path, headers, _ in at.requests]  # type: ignore[attr-defined]


def silent(path: Path) -> Path:
    """The same rules, nobody told."""
    text = path.read_text(encoding="utf-8").replace('["desk", "second"]', "[]")
    (path.parent / "silent.toml").write_text(text, encoding="utf-8")
    return path.parent / "silent.toml"
