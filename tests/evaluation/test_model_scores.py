"""A trained model scored on files: seen and unseen rows apart, references beside it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.errors import PatchError
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.model_scores import score_model
from spectm.training.forecaster import Forecaster, train_forecaster
from spectm.training.released import save_forecaster
from tests.study import Study


@pytest.fixture(scope="module")
def model(study: Study) -> Forecaster:
    from spectm.training.settings import Settings

    task = study.tasks["current"]
    record = Record.fit(surface_samples(study.labels), last_year=2023)
    record = replace(record, memory=Memory(days=10.0, spread=0.4))
    model = train_forecaster([], Settings(), study.patches, task.rows.iloc[:20], task.y[:20], record, {})
    return calibrate_forecaster(model, study.patches, study.tasks)


@pytest.mark.slow
def test_scores_of_rows_seen_and_unseen(study: Study, model: Forecaster, tmp_path) -> None:
    scores, written = score_model(model, "mine", study.patches, study.labels, tmp_path)
    assert [path.name for path in written] == ["scores.csv", "calibration.csv", "predictions.csv", "run.json"]
    current = scores[(scores["task"] == "current") & (scores["model"] == "mine")].set_index("rows")
    n = len(study.tasks["current"].rows)
    assert current["n"].to_dict() == {"unseen": n - 20, "seen": 20, "all": n}
    usual = scores[scores["model"] == "climatology"]
    assert (usual["skill_climatology"] == 0).all()
    lines = pd.read_csv(tmp_path / "predictions.csv")
    rows = lines[lines["task"] == "current"]
    assert rows["learned_from"].sum() == 20
    # R2 of the unseen rows, by hand
    unseen = rows[~rows["learned_from"]]
    observed, found = np.log10(unseen["observed"]), np.log10(unseen["predicted"].clip(lower=0.1))
    r2 = 1 - ((observed - found) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
    assert current["r2"]["unseen"] == pytest.approx(r2, abs=1e-4)
    # coverage of the unseen rows, by hand: below detection the lower end has to reach the limit
    held = pd.read_csv(tmp_path / "calibration.csv")
    line = held[(held["task"] == "current") & (held["seen"] == "unseen") & (held["level"] == 0.9)]
    reached = unseen["low90"] <= unseen["observed"] * (1 + 1e-5)
    inside = reached & (unseen["below_detection"] | (unseen["observed"] <= unseen["high90"] * (1 + 1e-5)))
    assert line.set_index("rows")["coverage"]["all"] == pytest.approx(inside.mean())
    assert (unseen["above_0.3_probability"] >= unseen["above_8_probability"]).all()
    assert json.loads((tmp_path / "run.json").read_text())["model"] == "mine"


@pytest.mark.slow
def test_no_earlier_years_are_needed(study: Study, model: Forecaster, tmp_path) -> None:
    late = study.labels.table["date"].str.startswith("2024")
    labels = replace(study.labels, table=study.labels.table[late])
    alone, _ = score_model(model, "mine", study.patches, labels, tmp_path / "a", tasks=["current"])
    whole, _ = score_model(model, "mine", study.patches, study.labels, tmp_path / "b", tasks=["current"])
    pd.testing.assert_series_equal(alone["r2"], whole["r2"])
    assert set(alone["task"]) == {"current"}


@pytest.mark.slow
def test_files_of_other_days_are_refused(study: Study, model: Forecaster, tmp_path) -> None:
    late = study.patches.time + np.timedelta64(365, "D")
    with pytest.raises(
        PatchError,
        match=r"none for current, ahead \(63 of 64 patches hold a valid pixel\)\. Are they of the same days",
    ):
        score_model(model, "mine", replace(study.patches, time=late), study.labels, tmp_path)


@pytest.mark.slow
def test_the_command(study: Study, model: Forecaster, tmp_path, capsys) -> None:
    save_forecaster(model, tmp_path / "mine")
    files = ["--patches", str(study.patches_file), "--labels", str(study.labels_file)]
    words = ["evaluate", "--model", str(tmp_path / "mine"), *files, "--out", str(tmp_path / "scored")]
    assert main([*words, "--task", "current"]) == 0
    said = capsys.readouterr().out
    assert "not learned from" in said
    assert "climatology" in said
    assert main([*words, "--quick"]) != 0
    assert "--quick can't change it" in capsys.readouterr().err
    assert main(["evaluate", *files, "--out", str(tmp_path / "x"), "--task", "ahead"]) != 0
    assert "--task goes with --model" in capsys.readouterr().err
