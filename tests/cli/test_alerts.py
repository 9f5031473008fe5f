"""`spectm alerts`: what it prints, writes and ends with."""

import json
import re
import shutil
from pathlib import Path

import pytest

from spectm.apps.alerts import run as runs
from spectm.apps.alerts.deliver import Patience
from spectm.cli.main import main
from tests.apps.alerts.at_work import Desk, desk, post_office
from tests.apps.stores import make_store

SECRET = "hunter2-Zx81q"
DAY = "2024-08-20"
STATIONS = "station,latitude,longitude\nPier,41.9813,-83.4688\n"
RULES = """
[rules.pier]
station = "Pier"
threshold = 1.0
probability = 0.3
horizons = [0]
receivers = ["desk", "duty"]

[rules.land]
latitude = 41.99
longitude = -83.405
threshold = 1.0
probability = 0.3
horizons = [8]
receivers = []

[rules.low]
station = "Pier"
threshold = 20.0
probability = 0.9
horizons = [0]
receivers = ["desk"]

[receivers.desk]
url = "http://127.0.0.1:{desk}/in"
headers = {{ Authorization = "env:DESK" }}

[receivers.duty]
host = "127.0.0.1"
port = {post}
security = "none"
from = "alerts@example.org"
to = ["duty@example.org"]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks, for reading only."""
    return make_store(tmp_path_factory.mktemp("stores") / "week")


@pytest.fixture
def folder(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "week").symlink_to(store)
    (tmp_path / "stations.csv").write_text(STATIONS, encoding="utf-8")
    monkeypatch.setenv("DESK", f"Bearer {SECRET}")
    monkeypatch.setattr(runs, "deliver", lambda *args: DELIVER(*args[:2], Patience(waits=(), seconds=10)))
    return tmp_path


DELIVER = runs.deliver


def alerts(folder: Path, *more: str, rules: str, day: str | None = DAY) -> int:
    (folder / "alerts.toml").write_text(rules, encoding="utf-8")
    words = [
        "alerts",
        str(folder / "week"),
        "--rules",
        str(folder / "alerts.toml"),
        "--out",
        str(folder / "out"),
    ]
    words += ["--stations", str(folder / "stations.csv"), *(("--period", day) if day else ()), *more]
    return main(words)


def lines(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "out" / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_alerts_are_written_sent_and_not_repeated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with desk() as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        assert alerts(folder, rules=rules) == 0
        said = capsys.readouterr().out
        assert alerts(folder, rules=rules) == 0
        again = capsys.readouterr().out
    assert "simulated predictions of made-up-2024: 20 to 27 August 2024" in said
    assert "pier, now: alert, more than 99 % above 1 ug/L" in said
    assert "land, 8 days: not evaluated, the place lies on land, or in water" in said
    assert "low, now: below, less than 1 % above 20 ug/L" in said
    assert "pier, now: known" in again
    (alert,) = lines(folder, "alerts.jsonl")
    assert alert["why"].startswith("Simulated: at Pier the probability of more than 1 ug/L")  # type: ignore[attr-defined]
    assert (at.keys, len(mails.mails)) == ([alert["id"]], 1)
    outcomes = [(one["rule"], one["outcome"]) for one in lines(folder, "checks.jsonl")]
    assert outcomes == [("pier", "alert"), ("land", "not evaluated"), ("low", "below")]
    kept = "".join(path.read_text(encoding="utf-8") for path in (folder / "out").glob("*.jsonl"))
    assert SECRET not in said + again + kept


@pytest.mark.slow
def test_a_failed_delivery_ends_with_1_and_waits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with desk(500) as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        assert alerts(folder, rules=rules) == 1
        said = capsys.readouterr()
        assert said.err.strip() == (
            f"spectm alerts: 1 waiting for desk (127.0.0.1:{at.port}): it answered 500. They are kept, and "
            "sent with the next run."
        )
        assert len(mails.mails) == 1
        at.answers = (204,)
        assert alerts(folder, rules=rules) == 0
        assert (len(at.requests), len(mails.mails)) == (2, 1)


def test_a_dry_run_shows_all_and_does_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with desk() as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        assert alerts(folder, "--dry-run", rules=rules) == 0
        said = capsys.readouterr().out
        assert not (folder / "out").exists()
        assert (at.requests, mails.said) == ([], [])
        assert alerts(folder, rules=rules) == 0
        _check_said(said, at, mails.mails[0][2])
    assert SECRET not in said
    assert "duty@example.org" not in said


def _check_said(said: str, at: Desk, mail: str) -> None:
    """What was shown is what was sent afterwards, but for the time."""
    assert f"would post to desk (127.0.0.1:{at.port})\n  with $DESK, which is set\n" in said
    assert "would mail to duty (127.0.0.1:" in said
    shown = json.loads(next(line for line in said.splitlines() if line.startswith('{"format"')))
    assert {**shown, "time": ""} == {**at.bodies[0], "time": ""}
    assert f"Idempotency-Key: {at.keys[0]}" in said
    assert re.search(r"^Message-ID: (.*)$", said, re.MULTILINE)[1] in mail  # type: ignore[index]
    assert mail.partition("\n\n")[2].strip() in said


@pytest.mark.slow
def test_a_dry_run_shows_what_waits(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(500) as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        alerts(folder, rules=rules)
        monkeypatch.delenv("DESK")
        before = sorted((path.name, path.read_bytes()) for path in (folder / "out").iterdir())
        capsys.readouterr()
        assert alerts(folder, "--dry-run", rules=rules) == 0
        assert sorted((path.name, path.read_bytes()) for path in (folder / "out").iterdir()) == before
    said = capsys.readouterr().out
    assert "left by an earlier run\n  with $DESK, which is NOT SET" in said
    assert "would mail" not in said


@pytest.mark.slow
def test_a_receiver_that_was_taken_out_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with desk(500) as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        alerts(folder, rules=rules)
        without = rules.replace('["desk", "duty"]', '["duty"]').replace('["desk"]', "[]")
        without = re.sub(r"\[receivers.desk\].*?(?=\[receivers.duty\])", "", without, flags=re.DOTALL)
        capsys.readouterr()
        assert alerts(folder, rules=without) == 0
    assert "1 waiting for desk, which" in capsys.readouterr().out


def test_the_last_period_is_not_told_of_when_it_is_old(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alerts(folder, rules=RULES.format(desk=9, post=9), day=None) == 0
    assert capsys.readouterr().out.count("more than the 30 of stale_after") == 2  # land is none at any time
    assert not (folder / "out" / "alerts.jsonl").exists()


@pytest.mark.slow
def test_what_waits_is_sent_though_the_predictions_are_of_no_use(folder: Path) -> None:
    with desk(500) as at, post_office() as mails:
        rules = RULES.format(desk=at.port, post=mails.port)
        alerts(folder, rules=rules)
        at.answers = (200,)
        assert alerts(folder, rules=rules, day="2031-01-01") == 1
        assert len(at.requests) == 2


@pytest.mark.slow
def test_predictions_written_meanwhile_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = (folder / "week").resolve()
    (folder / "week").unlink()
    shutil.copytree(store, folder / "week")
    evaluate = runs.evaluate

    def rewriting(*args: object, **options: object) -> object:
        path = folder / "week" / "predictions.zarr" / "zarr.json"
        path.write_text(
            path.read_text(encoding="utf-8").replace('"n_flagged": ', '"n_flagged": 9'), encoding="utf-8"
        )
        return evaluate(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "evaluate", rewriting)
    assert alerts(folder, rules=RULES.format(desk=9, post=9)) == 1
    assert "written anew" in capsys.readouterr().err
    assert not (folder / "out" / "alerts.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "day", "said"),
    [
        (("8", "8"), "2031-01-01", "wanted a whole period that holds 2031-01-01"),
        (("8", "8"), "soon", "wanted a day as in 2024-08-12"),
        (('"Pier"', '"Peer"'), DAY, "Did you mean Pier"),
        (('"env:DESK"', f'"{SECRET}"'), DAY, "seems to be written out"),
        (("http://127.0.0.1", "http://example.org"), DAY, "wanted url, https"),
        (
            ("threshold = 1.0", 'profile = "who-2021"\nthreshold = "recreation"'),
            DAY,
            "did you mean 'who-2020'",
        ),
    ],
)
def test_bad_input_is_one_line_and_1(
    folder: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], day: str, said: str
) -> None:
    assert alerts(folder, rules=RULES.format(desk=9, post=9).replace(*change), day=day) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert SECRET not in shown.err + shown.out
