"""The best model's claim, corrected for all that were looked at, from the files of a run."""

import numpy as np
import pandas as pd
import pytest

from spectm.evaluation import findings
from spectm.evaluation.report_tables import pair_table
from spectm.evaluation.run_folder import read_run_folder
from spectm.evaluation.summary import results_page
from tests.evaluation.conftest import MODELS


def rewrite(folder, errors: dict[tuple[str, str], np.ndarray]) -> None:
    """Predictions off by these errors, log10, in the file of a run folder."""
    path = folder / "predictions.csv"
    lines = pd.read_csv(path, keep_default_na=False)
    for (model, context), error in errors.items():
        chosen = (lines["model"] == model) & (lines["context"] == context)
        repeats = int(chosen.sum()) // error.size
        lines.loc[chosen, "predicted"] = lines.loc[chosen, "observed"] * 10 ** np.tile(error, repeats)
    lines.to_csv(path, index=False)


@pytest.fixture
def folder(make_run_folder):
    """All upward, so that the floor of 0.1 ug/L has no part: the calendar is off by 0.5, the best by 0.3."""
    made = make_run_folder(pair=(-0.03, -0.12, 0.08))
    spread = np.array([1.0, 0.8, 1.1, 1.3, 0.9, 1.0, 1.2, 0.7, 1.0, 0.9, 1.1, 1.0])
    errors = {(model, context): 0.4 * spread[::-1] for model, context, *_ in MODELS}
    errors |= {("climatology", "season"): 0.5 * spread, ("spectm", "season+lab"): 0.3 * spread}
    rewrite(made, errors)
    return made


def test_gains_are_corrected_for_every_row_of_the_table(folder) -> None:
    run = read_run_folder(folder)
    gains = findings.gains_over_calendar(run, "current")
    assert set(gains) == {(model, context) for model, context, *_ in MODELS} - {("climatology", "season")}
    best = gains["spectm", "season+lab"]
    observed = np.log10([0.1, 0.4, 1.2, 0.1, 0.6, 2.5, 0.1, 0.9, 9.0, 0.1, 0.3, 1.7])
    total = ((observed - observed.mean()) ** 2).sum()
    spread = np.array([1.0, 0.8, 1.1, 1.3, 0.9, 1.0, 1.2, 0.7, 1.0, 0.9, 1.1, 1.0])
    assert best.value == pytest.approx((0.25 - 0.09) * (spread**2).sum() / total, rel=1e-4)
    assert best.corrected_low < best.low < best.value < best.corrected_high


@pytest.mark.slow
def test_the_best_model_says_it(folder) -> None:
    run = read_run_folder(folder)
    best = findings.gains_over_calendar(run, "current")["spectm", "season+lab"]
    text = findings.best_model(run, "current")
    assert f"flatters it. Corrected for that, R2 minus that of the climatology is {best.value:.2f} [" in text
    assert f"{best.detectable:.2f} is the least difference that would be found four times in five" in text
    assert text in results_page(folder)


def test_nothing_is_said_where_nothing_differs(make_run_folder) -> None:
    """All models of the made folder predict the same."""
    run = read_run_folder(make_run_folder())
    assert findings.gains_over_calendar(run, "current") == {}
    assert "Corrected" not in findings.best_model(run, "current")


def test_nothing_is_said_without_the_climatology(make_run_folder) -> None:
    models = [one for one in MODELS if one[0] != "climatology"]
    run = read_run_folder(make_run_folder(models=models))
    assert findings.gains_over_calendar(run, "current") == {}


@pytest.mark.slow
def test_pairs_say_what_could_be_seen(folder) -> None:
    path = folder / "pairs.csv"
    pairs = pd.read_csv(path)
    assert "would be found" not in " ".join(findings.versus_baselines(read_run_folder(folder), "current"))
    pairs.assign(corrected_low=-0.2, corrected_high=0.1, p_corrected=0.5, detectable=0.137).to_csv(
        path, index=False
    )
    said = findings.versus_baselines(read_run_folder(folder), "current")
    assert any("(0.14 is the least that would be found four times in five)" in line for line in said)


def test_pairs_are_read_by_their_corrected_interval(folder) -> None:
    path = folder / "pairs.csv"
    pairs = pd.read_csv(path).assign(r2_difference=0.1, low=0.05, high=0.15)
    pairs.assign(corrected_low=-0.02, corrected_high=0.2, p_corrected=0.1, detectable=0.14).to_csv(
        path, index=False
    )
    table = pair_table(read_run_folder(folder), "current")
    assert table is not None
    assert {row[-1] for row in table.rows} == {"not told apart"}
    assert table.rows[0][2:6] == ("0.10 [0.05, 0.15]", "[-0.02, 0.20]", "0.100", "0.14")
    pairs.to_csv(path, index=False)  # as an earlier version wrote it
    assert {row[-1] for row in pair_table(read_run_folder(folder), "current").rows} == {"spectm better"}


def test_the_calendar_is_beaten_by_what_is_left_when_corrected(folder) -> None:
    """Two of what sees the spectrum are off by 0.4, one by less, one by more than the calendar."""
    spread = np.array([1.0, 0.8, 1.1, 1.3, 0.9, 1.0, 1.2, 0.7, 1.0, 0.9, 1.1, 1.0])
    rewrite(folder, {("gp", "season"): 0.3 * spread, ("ridge", "none"): 0.7 * spread})
    run = read_run_folder(folder)
    gained = findings.gains_over_calendar(run, "current")
    seeing = [("ridge", "none"), ("spectm", "none"), ("gp", "season"), ("spectm", "season")]
    left = sum(gained[key].corrected_low > 0 for key in seeing)
    assert 0 < left < 4
    said = findings.adds_to_calendar(run, "current")
    assert said.startswith("The spectrum adds to the calendar: of 4 models")
    assert f"above zero; corrected for all rows of the table, {left} ha" in said
    rewrite(folder, dict.fromkeys(seeing, 0.49 * spread[::-1]))
    said = findings.adds_to_calendar(read_run_folder(folder), "current")
    assert said.startswith("This run does not show that the spectrum adds to the calendar: of 4 models")
    assert "corrected for all rows of the table, none has an R2 above" in said
