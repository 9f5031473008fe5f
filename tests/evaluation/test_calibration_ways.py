"""The ways to calibrate that `tools.calibrations` compares, held to distributions that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from spectm.evaluation.calibration_scores import excess
from spectm.evaluation.scores import Observations
from tools import calibrations
from tools.calibrations import GRID, WAYS, Rows, by_date, lines_of


def rows(y, dates, *, mean=0.0, spread=1.0, below=False, lake=0):
    table = pd.DataFrame({"y": np.asarray(y, float), "date": np.asarray(list(dates))})
    return Rows(table.assign(mean=mean, spread=spread, below=below, lake=lake))


def at(curve, value):
    return curve[0, np.abs(GRID - value).argmin()]


@pytest.mark.parametrize(
    "name",
    ["kept", "a spread that goes with the mean", "each side apart", "residuals of near means", "crepes"],
)
def test_errors_twice_as_wide_as_the_model_says_are_found(name):
    if name == "crepes":
        pytest.importorskip("crepes")
    rng = np.random.default_rng(0)
    known = rows(rng.normal(0, 1.0, 3000), np.repeat(np.arange(300), 10), spread=0.5)
    curve = WAYS[name](known, rows([0.0], "x", spread=0.5))
    for value in (-1.5, -0.7, 0.0, 0.7, 1.5):
        assert at(curve, value) == pytest.approx(norm.cdf(value), abs=0.03)
    assert at(WAYS["uncalibrated normal"](known, rows([0.0], "x", spread=0.5)), 0.7) == pytest.approx(
        norm.cdf(1.4)
    )


def test_each_side_by_hand():
    """Upwards 1 and 2, downwards 3: half of the probability lies beyond the mean on either side."""
    curve = WAYS["each side apart"](rows([1.0, 2.0, -3.0], "abc"), rows([0.0], "x"))
    for value, share in ((-3.5, 0.0), (-2.0, 0.5), (-0.5, 0.5), (0.5, 0.5), (1.5, 0.75), (2.5, 1.0)):
        assert at(curve, value) == pytest.approx(share)


def test_residuals_count_where_the_mean_is_alike():
    """Errors are +1 where little is expected and -1 where much is."""
    low = rows(np.full(20, -0.9 + 1.0), range(20), mean=-0.9)
    high = rows(np.full(20, 2.0 - 1.0), range(20, 40), mean=2.0)
    known = Rows(pd.concat([low.table, high.table]))
    asked = Rows(pd.concat([rows([0.0], "x", mean=-0.9).table, rows([0.0], "y", mean=2.0).table]))
    curve = WAYS["residuals of near means"](known, asked)
    middle = GRID[(curve < 0.5).sum(axis=1)]
    assert middle == pytest.approx([-0.9 + 1.0, 2.0 - 1.0], abs=0.05)


def test_a_spread_that_goes_with_the_mean():
    """Errors are a tenth where little is expected and one where much is; the model says one of both."""
    rng = np.random.default_rng(2)
    low = rows(rng.normal(0, 0.1, 2000), np.arange(2000) // 10)
    high = rows(2.5 + rng.normal(0, 1.0, 2000), np.arange(2000) // 10, mean=2.5)
    known = Rows(pd.concat([low.table, high.table]))
    for mean, error in ((0.0, 0.1), (2.5, 1.0)):
        asked = Rows(known.table[known.mean == mean].iloc[:1])
        curve = WAYS["a spread that goes with the mean"](known, asked)
        reach = np.interp(mean - 1.64 * error, GRID, curve[0])
        assert reach == pytest.approx(0.05, abs=0.03)


def test_below_detection_an_end_is_known_and_no_value():
    """Half of the rows are below a limit that lies half a spread under their mean; the others are 1 above."""
    below = np.arange(40) % 2 == 0
    known = rows(np.where(below, -0.5, 1.0), range(40), below=below)
    asked = rows([0.0], "x")
    # Each side: all of the lower half lies from the limit down, so none of it above
    side = WAYS["each side apart"](known, asked)
    assert at(side, -0.52) == pytest.approx(0.0)
    assert at(side, -0.48) == pytest.approx(0.5)
    # Near means: half of the probability lies below the limit, none of it as an error of +1 would be
    near = WAYS["residuals of near means"](known, asked)
    assert at(near, -0.5) == pytest.approx(0.5, abs=0.01)
    assert at(near, -1.5) == pytest.approx(norm.cdf(-1.0), abs=0.01)
    # A limit above the mean is covered whatever happens: no error is seen in it, on neither side
    hidden = rows(np.full(40, 0.5), range(40), below=True)
    assert at(WAYS["each side apart"](hidden, asked), 0.2) == pytest.approx(1.0)
    seen = rows(np.where(np.arange(40) % 2, 2.5, 1.5), range(40), mean=2.0)
    both = Rows(pd.concat([seen.table, hidden.table]))
    wide, narrow = (
        WAYS["a spread that goes with the mean"](both, rows([0.0], "x", mean=mean)) for mean in (2.0, 0.0)
    )
    reach = [np.ptp(GRID[(curve[0] > 0.1) & (curve[0] < 0.9)]) for curve in (wide, narrow)]
    assert reach[1] < 0.5 * reach[0]


def test_frequency_above_probability_is_too_low():
    observed = Observations(
        log10=np.array([1.0, 1.0, -1.0, 1.0]),
        below_detection=np.array([False, False, True, False]),
        dates=np.array(list("abcd")),
    )
    curves = calibrations._Curves(np.tile(np.linspace(0, 1, GRID.size), (4, 1)))
    found = excess(observed, curves, 1.0)
    assert f"{found.value:.3f}" == "0.250"  # three of four, where half was expected


def test_mapie_gives_both_ends():
    pytest.importorskip("mapie")
    rng = np.random.default_rng(3)
    known = rows(1.0 + rng.normal(0, 1.0, 2000), range(2000), mean=1.0)
    low, high = calibrations.mapie_intervals(known, rows([0.0], "x", mean=2.0), 0.9)
    assert (low[0], high[0]) == pytest.approx((2.0 - 1.64, 2.0 + 1.64), abs=0.15)


def test_files_come_in_pairs(capsys):
    with pytest.raises(SystemExit):
        calibrations.main(["one.nc"])
    assert "wanted pairs" in capsys.readouterr().err


def test_a_date_is_calibrated_on_other_dates_of_its_lake():
    days = ["2024-07-01", "2024-07-03", "2024-07-04", "2024-08-01"]
    table = pd.concat([rows([0.0] * 4, days, lake=lake).table for lake in (0, 1)])
    pairs = list(by_date(table))
    assert len(pairs) == 8
    known, asked = pairs[0]
    assert asked.date.tolist() == ["2024-07-01"]
    assert known.date.tolist() == ["2024-07-04", "2024-08-01"]
    assert set(known.lake) == {0}


def test_seasons_are_told_apart():
    days = ["2023-07-01", "2023-08-01", "2024-07-01"]
    table = rows([0.0] * 3, days).table
    found = {years: next(by_date(table, years=years))[0].date.tolist() for years in ("all", "same", "other")}
    assert found == {"all": days[1:], "same": days[1:2], "other": days[2:]}


def test_the_kept_way_is_the_reference(monkeypatch):
    monkeypatch.setattr(calibrations, "WAYS", {name: WAYS[name] for name in ("kept", "uncalibrated normal")})
    rng = np.random.default_rng(1)
    days = np.repeat(pd.date_range("2024-06-01", periods=20, freq="7D").strftime("%Y-%m-%d"), 5)
    table = rows(
        rng.normal(2.0, 1.0, 100), days, mean=2.0, spread=0.5
    ).table  # far from what is below detection
    found = list(lines_of(table))[:2]
    assert [cells[0] for cells in found] == ["kept", "uncalibrated normal"]
    assert found[0][6] == ""
    within = (np.abs(table["y"] - 2.0) < norm.ppf(0.95) * 0.5).mean()
    assert found[1][1] == f"{within:.2f}"
    assert float(found[1][6].split()[0]) > 0  # and a worse score
