"""What `spectm ablate` and `spectm label-efficiency` write; others play pretraining and heads."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.cli.studies import note_of
from spectm.data.patches import write_patches
from spectm.evaluation import ablation, label_efficiency
from spectm.evaluation.page_sections import sections_of, write_section
from spectm.evaluation.study_pages import ablation_page, efficiency_page
from tests.study import Study

PNG = b"\x89PNG"


def near(study, task: str, rows, error: float, seed: int) -> list[dict[str, object]]:
    """Targets with an error of one size and random sign."""
    sign = np.random.default_rng([seed, len(task)]).choice([-1, 1], len(rows))
    mean = study.tasks[task].y[rows] + error * sign
    return [
        {"task": task, "row": row, "mean": m} for row, m in zip(rows.tolist(), mean.tolist(), strict=True)
    ]


def ablation_job(study, scope, name, variant, seed):
    """Without pretraining the error is 0.4, else 0.2 with a reference, 0.1 with both sources, or 0.25."""
    known = {"no-pretraining": 0.4, "targeted": 0.2, "real": 0.2, "real-and-simulated": 0.1}
    error = known.get(name, 0.25)
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


@pytest.fixture
def simulated_file(study: Study, tmp_path: Path) -> str:
    write_patches(replace(study.patches, simulated=True), tmp_path / "lake.nc")
    return str(tmp_path / "lake.nc")


def section(results: Path, name: str, figure: str) -> str:
    """A section of a page without its marks, headings and figure as in the page of its own."""
    inside = sections_of(results.read_text())[name].partition("-->\n")[2].rpartition("<!--")[0]
    image = f"results-{name}.png"
    assert (results.parent / "images" / image).read_bytes().startswith(PNG)
    return re.sub(r"^#", "", inside, flags=re.MULTILINE).replace(f"(images/{image})", f"({figure})")


@pytest.mark.slow
def test_ablate_writes_tables_page_and_figure(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    results = tmp_path / "page.md"
    results.write_text("# Results\n\nof spectm evaluate\n", encoding="utf-8")
    write_section(results, "transfer", "# Other bands")
    assert main(["ablate", *words, "--seeds", "3", "--results", str(results)]) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "ablation.csv", "ablation.md", "ablation.png", "jobs", "settings.toml", "study.json"
    }  # fmt: skip
    assert len(list((out / "jobs").iterdir())) == 5 * 12 * 3
    assert (out / "ablation.png").read_bytes().startswith(PNG)
    page = (out / "ablation.md").read_text()
    whole = results.read_text()
    assert whole.startswith("# Results\n\nof spectm evaluate\n\n<!-- section ablate -->\n## Masking and")
    assert section(results, "ablate", "ablation.png") == page
    assert list(sections_of(whole)) == ["ablate", "transfer"]
    assert page in capsys.readouterr().out
    written = f"on {datetime.now(UTC).date()} by `spectm ablate"
    assert written in page
    assert "--config settings.toml --seeds 3`. 3 seeds, 165 pretrainings." in page  # 11 variants, 5 blocks
    assert "`spectm ablate --patches patches.nc --unlabelled pixels.nc --labels labels.csv --out DIR" in page
    assert "3 seeds only: too few for a claim" in page
    table = pd.read_csv(out / "ablation.csv").set_index(["task", "head", "variant"])
    assert len(table) == 2 * 2 * 12
    assert (table["n_seeds"] == 3).all()
    assert (table["reference"] == "targeted").all()
    trained = table["n_pretrainings"].unstack("variant")
    assert (trained.pop("no-pretraining") == 0).all()
    assert (trained == 15).all(axis=None)
    identity = json.loads((out / "study.json").read_text())
    assert list(identity) == ["files", "labels", "labels_summary", "settings", "tasks"]
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
def test_ablate_compares_settings(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    results = tmp_path / "page.md"
    asked = ["ablate", *words, "--seeds", "2", "--results", str(results)]
    assert main([*asked, "--try", "pretraining.loop.stepps=9"]) == 1
    assert "unknown key 'stepps'; did you mean 'steps'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    larger = ["--try", "encoder.width=32; encoder.depth=1"]
    assert main([*asked, "--try", "pretraining.loop.steps=9", *larger]) == 0
    page = (tmp_path / "out" / "ablation.md").read_text()
    assert section(results, "pretraining-settings", "ablation.png") == page
    assert page.startswith("# Settings of pretraining\n\nWritten with spectm")
    assert "--try pretraining.loop.steps=9 --try 'encoder.width=32; encoder.depth=1' --labels" in page
    assert "| encoder.width=32; encoder.depth=1 | " in page
    assert "2 seeds, 30 pretrainings." in page  # 3 variants, 5 blocks


@pytest.mark.slow
def test_ablate_compares_sources(words, simulated_file, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    results = tmp_path / "page.md"
    asked = ["ablate", *words, "--seeds", "2"]
    assert main([*asked, "--simulated", simulated_file, "--results", str(results)]) == 0
    out = tmp_path / "out"
    names = ["real", "real-and-simulated", "simulated", "no-pretraining"]
    jobs = sorted(path.name for path in (out / "jobs").iterdir())
    assert jobs == sorted(f"block-{b}.{name}.{s}.csv" for b in range(5) for name in names for s in range(2))
    assert (out / "ablation.png").read_bytes().startswith(PNG)
    page = (out / "ablation.md").read_text()
    assert section(results, "pretraining-sources", "ablation.png") == page
    assert page.startswith("# Pretraining on real and simulated spectra\n\nWritten with spectm")
    assert "--unlabelled pixels.nc --simulated lake.nc --labels labels.csv" in page
    assert "2 seeds, 30 pretrainings." in page  # 3 sources, 5 blocks
    assert "`real`: patches.nc (64), pixels.nc (" in page
    assert "`simulated`: lake.nc (64), spectra of a simulated lake, whole" in page
    assert "Everything here is simulated" not in page
    assert "| real-and-simulated, against no-pretraining | " in page
    table = pd.read_csv(out / "ablation.csv")
    of_probe = table[(table["task"] == "current") & (table["head"] == "probe")].set_index("variant")
    assert of_probe["reference"].tolist() == ["real"] * 4 + ["no-pretraining"]
    # Errors: both 0.1, real 0.2, simulated 0.25, none 0.4.
    r2 = dict(zip(names, of_probe["r2"], strict=False))
    assert sorted(names, key=r2.__getitem__) == ["no-pretraining", "simulated", "real", "real-and-simulated"]
    paired = [r2["real"] - r2[name] for name in names[1:]] + [r2["no-pretraining"] - r2["real-and-simulated"]]
    assert of_probe["difference"].tolist()[1:] == pytest.approx(paired, abs=1e-5)
    identity = json.loads((out / "study.json").read_text())
    assert [file["file"] for file in identity["simulated_files"]] == ["lake.nc"]
    capsys.readouterr()
    assert main(asked) == 1
    assert "another study: simulated_files differ" in capsys.readouterr().err


@pytest.mark.slow
def test_sources_of_the_wrong_kind_are_refused(
    words, study, simulated_file, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    assert main(["ablate", *words, "--simulated", str(study.pixels_file)]) == 1
    assert "pixels.nc: --simulated wants patches of a simulated lake" in capsys.readouterr().err
    again = [*words, "--unlabelled", simulated_file, "--simulated", simulated_file]
    assert main(["ablate", *again]) == 1
    assert "lake.nc: with --simulated, --patches and --unlabelled want real" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
        assert "--quick`. " in page.read_text()
        assert "steps = 60" in (out / "settings.toml").read_text()
        assert len(list((out / "jobs").iterdir())) == jobs


@pytest.mark.slow
def test_label_efficiency_writes_tables_page_and_figure(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(label_efficiency, "_spectm_job", spectm_job)
    monkeypatch.setattr(label_efficiency, "_plain_job", plain_job)
    options = ["--models", "spectm-blend,ridge,svr", "--draws", "20", "--seeds", "2"]
    options += ["--results", str(tmp_path / "page.md")]
    assert main(["label-efficiency", *words, *options]) == 0
    out = tmp_path / "out"
    assert (out / "label_efficiency.png").read_bytes().startswith(PNG)
    assert len(list((out / "jobs").iterdir())) == 5 * (2 + 2 * 20)
    page = (out / "label_efficiency.md").read_text()
    assert section(tmp_path / "page.md", "label-efficiency", "label_efficiency.png") == page
    assert (
        "--seeds 2 --draws 20 --models spectm-blend,ridge,svr`. 20 draws, 2 seeds, 10 pretrainings." in page
    )
    assert "too few" not in page
    assert page in capsys.readouterr().out
    curves = pd.read_csv(out / "curves.csv", keep_default_na=False).set_index(["model", "task", "by", "size"])
    assert curves.loc[("spectm-blend", "current", "rows", "10"), "n_draws"] == 20
    assert curves.loc[("spectm-blend", "current", "rows", "all"), "n_draws"] == 2
    assert curves.loc[("ridge", "current", "dates", "all"), ["n_draws", "n_pretrainings"]].tolist() == [1, 0]
    assert curves.loc[("spectm-blend", "ahead", "dates", "10"), "n_pretrainings"] == 10
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
    record = {"command": "x", "quick": False, "simulated": simulated, "files": [], "spectm_version": "1"}
    record |= {"written": "2026-01-02T03:04:05+00:00"}
    line = {"task": "current", "by": "rows", "model": "climatology", "context": "season", "size": "0"}
    score = {"r2": 0.5, "low": 0.4, "high": 0.6}
    table = pd.DataFrame([{**line, "labels": 0.0, "n_draws": 1, "n_pretrainings": 0, **score}])
    line = {"task": "current", "head": "probe", "variant": "targeted", "reference": "targeted", "n_seeds": 2}
    line |= {"n_pretrainings": 10, "difference": np.nan, "r2": 0.5, "r2_low": 0.4, "r2_high": 0.6}
    pages = [efficiency_page(table, pd.DataFrame(), record), ablation_page(pd.DataFrame([line]), record)]
    for page, title in zip(pages, ("Label efficiency", "Masking and pretraining tasks"), strict=True):
        assert page.startswith(f"# {title}{', on a simulated lake' if simulated else ''}\n")
        assert ("Everything here is simulated" in page) is simulated
        assert "Written with spectm 1 on 2026-01-02 by `x`. " in page
    assert note_of(record) == ("Simulated." if simulated else "")


@pytest.mark.slow
def test_a_simulated_lake_has_sections_of_its_own(study, simulated_file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ablation, "_job", ablation_job)
    monkeypatch.setattr(label_efficiency, "_spectm_job", spectm_job)
    monkeypatch.setattr(label_efficiency, "_plain_job", plain_job)
    results = tmp_path / "page.md"
    write_patches(replace(study.unlabelled[0], simulated=True), tmp_path / "pixels.nc")
    files = ["--patches", simulated_file, "--unlabelled", str(tmp_path / "pixels.nc")]
    header, *lines = study.labels_file.read_text(encoding="utf-8").splitlines()
    made_up = [f"{header},source", *(f"{line},simulated" for line in lines)]
    (tmp_path / "labels.csv").write_text("\n".join(made_up), encoding="utf-8")
    files += ["--labels", str(tmp_path / "labels.csv"), "--results", str(results)]
    for command in ("ablate", "label-efficiency"):
        out = ["--out", str(tmp_path / command)]
        assert main([command, *files, *out, "--workers", "1", "--quick", "--seeds", "1"]) == 0
    assert list(sections_of(results.read_text())) == ["ablate-simulated", "label-efficiency-simulated"]
