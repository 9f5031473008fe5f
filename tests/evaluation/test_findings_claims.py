"""The best model's claim, corrected for all that were looked at, from the files of a run."""

import numpy as np
import pandas as pd
import pytest

from spectm.evaluation import findings
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
