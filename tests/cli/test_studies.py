"""What `spectm ablate` and `spectm label-efficiency` write; others play pretraining and heads."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.evaluation import ablation, label_efficiency
from tests.conftest import Study

PNG = b"\x89PNG"


def near(study, task: str, rows, error: float, seed: int) -> list[dict[str, object]]:
    """Targets with an error of one size and random sign."""
    sign = np.random.default_rng([seed, len(task)]).choice([-1, 1], len(rows))
    mean = study.tasks[task].y[rows] + error * sign
    return [
        {"task": task, "row": row, "mean": m} for row, m in zip(rows.tolist(), mean.tolist(), strict=True)
    ]


def ablation_job(study, scope, name, seed):
    """Without pretraining the error is 0.4, else 0.2 with the reference and 0.25 with others."""
    error = {"no-pretraining": 0.4, "targeted": 0.2}.get(name, 0.25)
    return [
        {"variant": name, "seed": seed, "head": head, "fold": fold.name, **line}
        for head in ("probe", "blend")
        for task, fold in scope.folds
        for line in near(study, task, fold.test, error, seed)
    ]


def drawn(study, scope, model, draws, error):
    """An error that falls with the square root of labels."""
    return [
        {"model": model, "context": "season", "by": by, "draw": draw, "size": size, "labels": n, **line}
        for draw in draws
        for by, size, n in (("dates", "10", 12), ("rows", "10", 10), ("all", "all", 28))
        if by != "all" or draw == (draws[0] if model == "spectm-blend" else 0)
        for task, fold in scope.folds
        for line in near(study, task, fold.test, error * (28 / n) ** 0.5, draw)
    ]


def spectm_job(study, scope, seed, config):
    return drawn(study, scope, "spectm-blend", range(seed, config.draws, config.seeds), 0.2)


def plain_job(study, scope, name, draw, config):
    return drawn(study, scope, name, [draw], 0.3)


@pytest.fixture
def words(study: Study, tmp_path: Path) -> list[str]:
    files = ["--patches", study.patches_file, "--unlabelled", study.pixels_file]
    return [*map(str, [*files, "--labels", study.labels_file, "--out", tmp_path / "out"]), "--workers", "1"]


@pytest.mark.slow
def test_ablate_writes_tables_page_and_figure(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    results = tmp_path / "page.md"
    assert main(["ablate", *words, "--seeds", "3", "--results", str(results)]) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "ablation.csv", "ablation.md", "ablation.png", "jobs", "settings.toml", "study.json"
    }  # fmt: skip
    assert len(list((out / "jobs").iterdir())) == 5 * 12 * 3
    assert (out / "ablation.png").read_bytes().startswith(PNG)
    page = results.read_text()
    assert page == (out / "ablation.md").read_text()
    assert page in capsys.readouterr().out
    assert "`spectm ablate --patches patches.nc --unlabelled pixels.nc --labels labels.csv --out DIR" in page
    assert "3 seeds only: too few for a claim" in page
    table = pd.read_csv(out / "ablation.csv").set_index(["task", "head", "variant"])
    assert len(table) == 2 * 2 * 12
    assert (table["n_seeds"] == 3).all()
    known = table["difference"].dropna()
    assert len(known) == 2 * 2 * 11
    assert (known > 0).all()
    row = table.loc[("current", "probe", "no-pretraining")]
    assert row["corrected_low"] < row["low"]
    assert row["p_corrected"] < 0.5
    assert f"| no-pretraining | {row['r2']:.2f} [" in page
    assert f"{row['difference']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in page
    assert main(["ablate", *words, "--seeds", "3", "--set", "masking.guard_nm=5"]) == 1
    assert "settings.masking.guard_nm differ" in capsys.readouterr().err
    assert "guard_nm = 0" in (out / "settings.toml").read_text()


@pytest.mark.slow
def test_quick_runs_say_so(words, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    monkeypatch.setattr(label_efficiency, "_spectm_job", spectm_job)
    monkeypatch.setattr(label_efficiency, "_plain_job", plain_job)
    for command, jobs in (("ablate", 5 * 12 * 2), ("label-efficiency", 5 * (2 + 2 * 4))):
        out = tmp_path / command
        assert main([command, *words, "--out", str(out), "--quick"]) == 0
        (page,) = out.glob("*.md")
        assert "**A quick run (" in page.read_text()
        assert "--quick`, with spectm" in page.read_text()
        assert "steps = 60" in (out / "settings.toml").read_text()
        assert len(list((out / "jobs").iterdir())) == jobs


@pytest.mark.slow
def test_label_efficiency_writes_tables_page_and_figure(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(label_efficiency, "_spectm_job", spectm_job)
    monkeypatch.setattr(label_efficiency, "_plain_job", plain_job)
    options = ["--models", "spectm-blend,ridge,svr", "--draws", "20", "--seeds", "2"]
    assert main(["label-efficiency", *words, *options]) == 0
    out = tmp_path / "out"
    assert (out / "label_efficiency.png").read_bytes().startswith(PNG)
    assert len(list((out / "jobs").iterdir())) == 5 * (2 + 2 * 20)
    page = (out / "label_efficiency.md").read_text()
    assert "too few" not in page
    assert page in capsys.readouterr().out
    curves = pd.read_csv(out / "curves.csv", keep_default_na=False).set_index(["model", "task", "by", "size"])
    assert curves.loc[("spectm-blend", "current", "rows", "10"), "n_draws"] == 20
    assert curves.loc[("spectm-blend", "current", "rows", "all"), "n_draws"] == 2
    assert curves.loc[("ridge", "current", "dates", "all"), "n_draws"] == 1
    equal = pd.read_csv(out / "equal_labels.csv")
    assert len(equal) == 2 * 2
    # Errors of 0.2 and 0.3 with all: equal at 28 / 1.5^2 = 12.4 labels, read off a line in the logarithm.
    by_rows = equal[equal["by"] == "rows"]
    assert by_rows["labels"].between(11, 20).all()
    assert by_rows["share"].tolist() == pytest.approx((by_rows["labels"] / 28).tolist(), rel=1e-4)
    assert "| spectm-blend (season) | Current week, single rows |" in page


def test_wrong_words_are_refused(words, capsys) -> None:
    assert main(["label-efficiency", *words, "--models", "ridge,spectm"]) == 1
    assert "'spectm' is not one of" in capsys.readouterr().err
    assert main(["ablate", *words, "--seeds", "0"]) == 1
    assert "at least one seed" in capsys.readouterr().err


@pytest.mark.parametrize("simulated", [False, True])
def test_pages_say_what_is_simulated(simulated: bool) -> None:
    from spectm.cli.studies import note_of
    from spectm.evaluation.study_pages import efficiency_page

    record = {"command": "x", "quick": False, "simulated": simulated, "files": [], "spectm_version": "1"}
    line = {"task": "current", "by": "rows", "model": "climatology", "context": "season", "size": "0"}
    table = pd.DataFrame([{**line, "labels": 0.0, "n_draws": 1, "r2": 0.5, "low": 0.4, "high": 0.6}])
    page = efficiency_page(table, pd.DataFrame(), record)
    assert ("Everything here is simulated" in page) is simulated
    assert note_of(record) == ("Simulated." if simulated else "")
