"""Rules on chosen numbers: every answer is worked out by hand."""

from datetime import date

import numpy as np
import pytest

from spectm.apps.alerts.evaluate import evaluate
from spectm.apps.alerts.text import alert_line, mail_text, percent, subject
from spectm.apps.places import Station
from tests.apps.alerts.made_up import GRID, WHOLE, moment, rule

NAN = np.nan
TOP = [[10.0, 51.9], [10.4, 51.9], [10.4, 52.0], [10.0, 52.0]]  # the first row alone


@pytest.mark.slow
def test_a_place_says_what_its_cell_says() -> None:
    field = np.zeros(GRID.shape)
    field[1, 2] = 0.7
    value = np.ones(GRID.shape)
    value[1, 2] = 6.0
    here = Station(name="Buoy", latitude=51.86, longitude=10.21)
    found = evaluate(rule(here), moment(field, microcystin=value))
    assert found.answer is not None
    assert (found.answer.probability, found.fires) == (0.7, True)
    cell = found.answer.typical
    assert cell == found.answer.highest
    assert (cell.microcystin, cell.low90, cell.high90) == pytest.approx((6.0, 3.0, 12.0))
    assert (cell.latitude, cell.longitude) == pytest.approx((51.85, 10.25))
    assert (found.cells.water, found.cells.counted) == (1, 1)


@pytest.mark.parametrize(("probability", "fires"), [(0.4999, False), (0.5, True), (0.5001, True)])
def test_it_fires_at_or_above(probability: float, fires: bool) -> None:
    assert evaluate(rule(), moment(probability)).fires is fires


def test_an_area_is_the_mean_of_cells_that_count() -> None:
    field = np.full(GRID.shape, 0.9)
    field[0] = [0.1, 0.2, 0.6, 1.0]
    value = np.full(GRID.shape, 50.0)
    value[0] = [2.0, 3.0, 4.0, 9.0]
    found = evaluate(rule(TOP), moment(field, microcystin=value))
    assert found.answer is not None
    assert found.answer.probability == pytest.approx(0.475)  # (0.1 + 0.2 + 0.6 + 1.0) / 4
    assert not found.fires
    assert found.answer.typical.microcystin == pytest.approx(3.0)  # the lower of the two in the middle
    assert found.answer.highest.microcystin == pytest.approx(9.0)
    assert found.answer.highest.longitude == pytest.approx(10.35)
    assert evaluate(rule(TOP, probability=0.475), moment(field)).fires


def test_what_does_not_count_is_left_out_and_counted() -> None:
    field = np.full(GRID.shape, 0.8)
    field[0, 0] = NAN  # not seen
    water = np.ones(GRID.shape, dtype=bool)
    water[2] = False  # land: four cells
    flags, age = np.zeros(GRID.shape, dtype=int), np.full(GRID.shape, 2.0)
    flags[0, 1], flags[0, 2] = 1, 3
    field[0, 1] = field[0, 2] = 0.0
    age[0, 3], age[1, 0] = 5.5, 5.0
    field[0, 3] = 0.0
    here = moment(field, water=water, flags=flags, age=age)
    found = evaluate(rule(WHOLE, oldest_pixels=5.0), here)
    cells = found.cells
    assert (cells.water, cells.seen, cells.flagged, cells.too_old, cells.counted) == (8, 7, 2, 1, 4)
    assert cells.flag_reasons == {"season": 2, "too dark": 1}
    assert (cells.share, cells.oldest_days) == (0.5, 5.0)
    assert found.answer is not None
    assert found.answer.probability == pytest.approx(0.8)
    strict = evaluate(rule(WHOLE, oldest_pixels=5.0, min_coverage=0.51), here)
    assert strict.answer is None
    assert strict.why_not == (
        "4 of 8 cells of water count (50 %), fewer than the 51 % of min_coverage: 1 not seen, 2 flagged, "
        "1 too old"
    )
    assert not strict.fires


@pytest.mark.parametrize(
    ("place", "fields", "why"),
    [
        (Station(name="Far", latitude=45.0, longitude=10.05), {}, "outside the maps"),
        (None, {"water": False}, "on land, or in water that was never seen"),
        (None, {"probability": NAN}, "nothing was seen there"),
        (None, {"flags": 2}, r"unlike those learned from \(too dark\)"),
        (None, {"age": 8.5}, "older than the 8 days of oldest_pixels"),
        (None, {"age": NAN}, "older than the 8 days"),  # unknown
        ([[10.0, 51.7], [10.9, 51.7], [10.9, 52.0]], {}, "reaches beyond the maps"),
        ([[10.0, 51.7], [10.3, 51.7], [10.3, 52.6]], {}, "reaches beyond the maps"),
        ([[10.0, 51.0], [10.3, 51.7], [10.0, 52.0]], {}, "reaches beyond the maps"),
        ([[10.01, 51.71], [10.04, 51.71], [10.04, 51.74]], {}, "no cell of water has its centre"),
        (WHOLE, {"water": False}, "no cell of water"),
        (WHOLE, {"probability": NAN}, "0 of 12 cells of water count"),
    ],
)
def test_what_can_not_be_evaluated_says_why(place: object, fields: dict[str, object], why: str) -> None:
    import re

    found = evaluate(rule(place), moment(fields.pop("probability", 0.9), **fields))  # type: ignore[arg-type]
    assert found.answer is None
    assert re.search(why, found.why_not)


def test_old_predictions_are_not_told_of_as_new() -> None:
    here = moment(0.9)  # ends on 12 August
    assert evaluate(rule(stale_after=10), here, today=date(2024, 8, 22)).fires
    late = evaluate(rule(stale_after=10), here, today=date(2024, 8, 23))
    assert late.answer is None
    assert "ended 11 days ago, more than the 10" in late.why_not
    assert evaluate(rule(stale_after=10), here).fires  # a period that was asked for


def test_the_id_is_of_question_period_horizon_and_predictions() -> None:
    first = evaluate(rule(), moment(0.9)).id
    assert evaluate(rule(), moment(0.9)).id == first
    assert evaluate(rule(repeat_after=3.0, receivers=("x",)), moment(0.9)).id == first
    elsewhere = np.full(GRID.shape, 0.9)
    elsewhere[2, 3] = 0.1
    assert evaluate(rule(), moment(elsewhere)).id == first  # another cell
    others = [
        evaluate(rule(), moment(0.91)),
        evaluate(rule(), moment(0.9, microcystin=5.1)),
        evaluate(rule(), moment(0.9, age=2.5)),
        evaluate(rule(), moment(0.9, first="2024-08-12")),
        evaluate(rule(), moment(0.9, horizon=8.0)),
        evaluate(rule(probability=0.6), moment(0.9)),
        evaluate(rule(name="other"), moment(0.9)),
        evaluate(rule(WHOLE), moment(0.9)),
    ]
    assert len({first, *(one.id for one in others)}) == 9


def test_an_alert_says_what_it_is_about() -> None:
    here = moment(0.62, microcystin=9.0, horizon=8.0)
    found = evaluate(rule(receivers=("desk",)), here)
    assert found.answer is not None
    line = alert_line(found, found.answer, here.store, "2024-08-21T06:00:00+00:00")
    assert line["why"] == (
        "Simulated: at Pier the probability of more than 8 ug/L of microcystin is 62 % for 12 to 19 August "
        "2024 (a forecast from what was seen 4 to 11 August 2024), and the rule 'test' tells of it from 50 % "
        "on; the estimate is 9 ug/L (90 % interval 4.5 to 18)."
    )
    assert line["about"] == {"first": "2024-08-12", "last": "2024-08-19"}
    assert line["estimate"]["low90"] == 4.5
    text = mail_text(line)
    assert "informs and decides nothing" in " ".join(text.split())
    assert "Dissolved microcystin" in text
    assert max(map(len, text.splitlines())) <= 76
    assert subject(line).startswith("Simulated: microcystin above 8 ug/L at 62 %, Pier")


def test_an_area_says_what_its_probability_is_not() -> None:
    here = moment(0.62)
    found = evaluate(rule(WHOLE), here)
    assert found.answer is not None
    line = alert_line(found, found.answer, here.store, "2024-08-21T06:00:00+00:00")
    assert "over the 12 cells of bay that count, the mean probability" in line["why"]
    assert "no joint probability is known" in line["caveats"][-1]
    assert line["place"]["bounds"] == [10.0, 51.7, 10.4, 52.0]
    assert "Highest:" in mail_text(line)


def test_real_predictions_are_called_experimental() -> None:
    here = moment(0.62)
    here.store.simulated = False  # type: ignore[misc]
    found = evaluate(rule(), here)
    assert found.answer is not None
    line = alert_line(found, found.answer, here.store, "2024-08-21T06:00:00+00:00")
    assert line["why"].startswith("Experimental: ")
    assert line["caveats"][0].startswith("Experimental: ")
    assert subject(line).startswith("Experimental: ")


def test_names_of_files_steer_nothing() -> None:
    evil = Station(name="<script>\x1b[2J\nBcc: x@y.z", latitude=51.95, longitude=10.05)
    here = moment(0.62)
    found = evaluate(rule(evil), here)
    assert found.answer is not None
    line = alert_line(found, found.answer, here.store, "2024-08-21T06:00:00+00:00")
    for text in (line["why"], subject(line)):
        assert text.isprintable()
    assert "\nBcc" not in mail_text(line)


def test_nothing_is_certain() -> None:
    assert [percent(one) for one in (0.0, 0.01, 0.5, 0.99, 1.0)] == [
        "less than 1 %",
        "1 %",
        "50 %",
        "99 %",
        "more than 99 %",
    ]
