"""The journal: what a kill can leave is mended, and what it says of earlier alerts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectm.apps.alerts import journal as journals
from spectm.apps.alerts.decide import decide
from spectm.apps.alerts.evaluate import Answer, CellEstimate, Cells, Finding
from spectm.apps.alerts.journal import ALERTS, CHECKS, DELIVERIES, Journal, open_journal, read_journal
from spectm.data.periods import Period
from spectm.errors import AlertError, OutputError
from tests.apps.alerts.made_up import alert, rule

CELL = CellEstimate(microcystin=9.0, low90=4.0, high90=20.0, latitude=51.95, longitude=10.05)


def check(
    number: int, first: str = "2024-08-04", outcome: str = "below", **more: object
) -> dict[str, object]:
    period = {"first": first}
    return {"id": f"{number}", "asked": "q", "horizon": 0.0, "period": period, "outcome": outcome, **more}


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    with open_journal(tmp_path / "new" / "alerts") as journal:
        journal.add_alerts([alert(1), alert(2, place={"name": "Ö\u2028\n"})])
        journal.add_checks([check(1), check(2)])
        journal.add_delivery({"id": alert(1)["id"], "receiver": "desk", "outcome": "taken"})
    again = read_journal(tmp_path / "new" / "alerts")
    assert again.alerts == [alert(1), alert(2, place={"name": "Ö\u2028\n"})]
    assert again.checks == [check(1), check(2)]
    assert again.waiting() == {"desk": [again.alerts[1]]}
    assert again.mended == ()


def test_half_a_line_at_the_end_is_mended_wherever_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals.os, "fsync", lambda _: None)  # the disk would take half a minute
    lines = [{key: alert(number)[key] for key in journals.NEEDED[ALERTS]} for number in (1, 2, 3)]
    with open_journal(tmp_path) as journal:
        journal.add_alerts(lines[:2])
    path = tmp_path / ALERTS
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with open_journal(tmp_path) as journal:
            n = len(journal.alerts)
            assert journal.alerts == lines[:n]
            # A line that lacks nothing but its end is whole.
            assert n == (cut >= first - 1) + (cut >= len(whole) - 1)
            assert journal.mended == (() if cut in (0, first, len(whole)) else (ALERTS,))
            journal.add_alerts(lines[2:])
        assert read_journal(tmp_path).alerts[n:] == lines[2:]


def test_blocks_that_a_power_cut_left_empty_are_mended(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add_alerts([alert(1)])
    with (tmp_path / ALERTS).open("ab") as file:
        file.write(b"\0" * 4096)
    with open_journal(tmp_path) as journal:
        assert journal.alerts == [alert(1)]
        assert journal.mended == (ALERTS,)


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none").alerts == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ALERTS).write_text(json.dumps(alert(1)) + "\n" + '{"id": "ha', encoding="utf-8")
    before = (tmp_path / ALERTS).read_bytes()
    assert read_journal(tmp_path).alerts == [alert(1)]
    assert (tmp_path / ALERTS).read_bytes() == before


@pytest.mark.parametrize("line", ["[1]", "nonsense", "{}", '{"id": "x"}', "", "[" * 5000])
@pytest.mark.parametrize("name", [ALERTS, CHECKS, DELIVERIES])
def test_damage_that_no_kill_leaves_is_refused_and_kept(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(AlertError, match=f"{name}, line 1: wanted a JSON object"), open_journal(tmp_path):
        pass
    assert (tmp_path / name).read_text(encoding="utf-8") == f"{line}\n"


def test_two_runs_exclude_each_other(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path),
        pytest.raises(AlertError, match="held by another run"),
        open_journal(tmp_path),
    ):
        pass
    with open_journal(tmp_path):
        pass


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import fcntl, os, sys\n"
        "lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()\n"
    )
    words = [sys.executable, "-S", "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(AlertError, match="held"), open_journal(tmp_path):
            pass
        other.kill()
        other.wait()
    with open_journal(tmp_path):
        pass


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_journal(tmp_path) as journal:
        journal.add_alerts([alert(1)])
        before = (tmp_path / ALERTS).read_bytes()
        write = os.write
        n_writes = 0

        def full(file: int, data: bytes) -> int:
            nonlocal n_writes
            n_writes += 1
            if n_writes > 1:
                raise OSError(28, "No space left on device")
            return write(file, data[:10])

        monkeypatch.setattr(journals.os, "write", full)
        with pytest.raises(OutputError, match=r"No space left.*Nothing is sent before it is written"):
            journal.add_alerts([alert(2)])
        assert journal.alerts == [alert(1)]
    assert (tmp_path / ALERTS).read_bytes() == before


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="found a file at"), open_journal(tmp_path / "alerts"):
        pass


def test_checks_are_kept_once_for_each_outcome(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add_checks([check(1, why="80 %"), check(2)])
    with open_journal(tmp_path) as journal:
        journal.add_checks([check(1, why="81 %"), check(1, outcome="held back"), check(3)])
    kept = [(one["id"], one["outcome"]) for one in read_journal(tmp_path).checks]
    assert kept == [("1", "below"), ("2", "below"), ("1", "held back"), ("3", "below")]


def test_who_has_what(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add_alerts([alert(1, receivers=("desk", "duty")), alert(2, receivers=("duty",))])
        first, second = (one["id"] for one in journal.alerts)
        journal.add_delivery({"id": first, "receiver": "desk", "outcome": "failed"})
        journal.add_delivery({"id": first, "receiver": "duty", "outcome": "failed", "taken_by": ["a"]})
        assert journal.waiting() == {"desk": journal.alerts[:1], "duty": journal.alerts}
        assert journal.taken(first, "duty") == (False, frozenset("a"))
        journal.add_delivery({"id": first, "receiver": "duty", "outcome": "taken", "taken_by": ["b"]})
        assert journal.taken(first, "duty") == (True, frozenset("ab"))
        assert journal.waiting() == {"desk": journal.alerts[:1], "duty": journal.alerts[1:]}
        assert journal.taken(second, "duty") == (False, frozenset())


def week(number: int) -> str:
    return str(np.datetime64("2024-08-04") + 8 * number)


def found(number: int, probability: float | None, *, repeat_after: float, horizon: float = 0.0) -> Finding:
    start = np.datetime64(week(number))
    period = Period(start, start + 8)
    return Finding(
        rule=rule(repeat_after=repeat_after),
        period=period,
        about=period,
        horizon=horizon,
        predictions=f"{number}-{probability}",
        cells=Cells(flag_reasons={}),
        answer=None if probability is None else Answer(probability=probability, typical=CELL, highest=CELL),
        why_not="" if probability is not None else "clouds",
    )


def outcomes(
    probabilities: list[float | None], repeat_after: float, numbers: list[int] | None = None
) -> list[str]:
    """What becomes of a rule (0.5) week after week."""
    journal = Journal(Path("unused"), {ALERTS: [], CHECKS: [], DELIVERIES: []})
    told = []
    for number, probability in zip(numbers or range(len(probabilities)), probabilities, strict=True):
        finding = found(number, probability, repeat_after=repeat_after)
        outcome = decide(finding, journal).outcome
        told.append(outcome)
        key = {"id": finding.id, "asked": finding.rule.digest, "horizon": 0.0}
        period = {"first": str(finding.period.start)}
        if outcome == "alert":
            journal.alerts.append({**key, "period": period, "probability": round(probability or 0, 4)})
        journal.checks.append({**key, "period": period, "outcome": outcome})
    return told


NEW, HELD, BELOW, NOT = "alert", "held back", "below", "not evaluated"


@pytest.mark.parametrize(
    ("probabilities", "repeat_after", "expected"),
    [
        ([0.6, 0.6, 0.6, 0.6], 16, [NEW, HELD, NEW, HELD]),
        ([0.6, 0.6, 0.6, 0.6], 17, [NEW, HELD, HELD, NEW]),
        ([0.6, 0.6, 0.6], 0, [NEW, NEW, NEW]),
        ([0.6, 0.4, 0.6], 100, [NEW, BELOW, NEW]),  # it had ended
        ([0.6, None, 0.6], 100, [NEW, NOT, HELD]),  # clouds are no end
        ([0.6, 0.79, 0.8, 0.99], 100, [NEW, HELD, NEW, HELD]),  # rose by 0.2, not by 0.19
        ([0.5, 0.6, 0.7, 0.8, 0.9], 100, [NEW, HELD, NEW, HELD, NEW]),
        ([0.4, None, 0.5], 100, [BELOW, NOT, NEW]),
    ],
)
def test_repeats_are_held_back(
    probabilities: list[float | None], repeat_after: float, expected: list[str]
) -> None:
    assert outcomes(probabilities, repeat_after) == expected


def test_the_same_predictions_are_known_and_better_ones_of_a_week_are_repeats() -> None:
    assert outcomes([0.6, 0.6, 0.62, 0.8], 16, [0, 0, 0, 0]) == [NEW, "known", HELD, NEW]
    assert outcomes([0.6, 0.62], 0, [0, 0]) == [NEW, NEW]
    assert outcomes([0.4, 0.6, 0.6], 100, [0, 0, 1]) == [
        BELOW,
        NEW,
        HELD,
    ]  # the first is no end of the second


def test_an_older_week_asked_for_later_is_judged_by_what_came_before_it() -> None:
    assert outcomes([0.6, 0.6, 0.6], 16, [5, 1, 6]) == [NEW, NEW, HELD]


def test_another_question_or_horizon_holds_nothing_back() -> None:
    journal = Journal(Path("unused"), {ALERTS: [], CHECKS: [], DELIVERIES: []})
    one = found(0, 0.6, repeat_after=100)
    line = {
        "id": "x",
        "asked": one.rule.digest,
        "horizon": 0.0,
        "period": {"first": week(0)},
        "probability": 0.6,
    }
    for changes, expected in (({}, HELD), ({"horizon": 8.0}, NEW), ({"asked": "other"}, NEW)):
        journal.alerts[:] = [line | changes]
        assert decide(found(1, 0.6, repeat_after=100), journal).outcome == expected


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([None, 0.3, 0.5, 0.6, 0.7, 0.9]), min_size=1, max_size=12),
    st.sampled_from([0, 8, 9, 16, 24, 1000]),
)
def test_against_a_slow_obvious_version(probabilities: list[float | None], repeat_after: float) -> None:
    expected = []
    told: tuple[int, float] | None = None  # week and probability of the last that was told
    ended = False
    for number, one in enumerate(probabilities):
        if one is None:
            expected.append(NOT)
        elif one < 0.5:
            expected.append(BELOW)
            ended = True
        elif (
            told is None or ended or 8 * (number - told[0]) >= repeat_after or round(one - told[1], 6) >= 0.2
        ):
            expected.append(NEW)
            told, ended = (number, one), False
        else:
            expected.append(HELD)
    assert outcomes(probabilities, repeat_after) == expected
