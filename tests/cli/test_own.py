"""The commands on spectra that bring their own target; and the tour that shows them, word by word."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.simulation.leaf_files import write_leaves

ROOT = Path(__file__).parents[2]
FAST = ["--set", "pretraining.loop.steps=2", "--set", "encoder.width=16", "--set", "encoder.depth=1"]


@pytest.fixture(scope="module")
def leaves(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("leaves")
    write_leaves(folder / "leaves", n=48, labelled=36, sites=6, seed=0)
    assert main(["spectra", str(folder / "leaves" / "leaves.toml"), "--out", str(folder / "leaves.nc")]) == 0
    return folder


@pytest.fixture(scope="module")
def model(leaves) -> Path:
    own = ["--config", str(leaves / "leaves" / "settings.toml"), *FAST, "--device", "cpu"]
    patches = ["--patches", str(leaves / "leaves.nc")]
    assert main(["pretrain", *patches, *own, "--out", str(leaves / "pre")]) == 0
    assert (
        main(["finetune", "--pretrained", str(leaves / "pre"), *patches, "--out", str(leaves / "model")]) == 0
    )
    return leaves / "model"


@pytest.mark.slow
def test_estimates_have_intervals_thresholds_and_a_unit(leaves, model, capsys):
    out = leaves / "estimates.csv"
    assert (
        main(["predict", "--model", str(model), "--patches", str(leaves / "leaves.nc"), "--out", str(out)])
        == 0
    )
    said = capsys.readouterr()
    assert "simulated spectra" in said.err
    table = pd.read_csv(out)
    assert len(table) == 48
    assert (table["low90"] <= table["low50"]).all()
    assert (table["low50"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["high90"]).all()
    assert table["above_20_probability"].between(0, 1).all()
    assert (table["about"] == "chlorophyll, ug cm-2").all()
    assert table["note"].str.contains("learned from").sum() == 36
    truth = pd.read_csv(leaves / "leaves" / "leaves.csv").set_index("leaf")["chlorophyll"].astype(float)
    known = table.set_index("sample").join(truth.dropna(), how="inner")
    assert known[["estimate", "chlorophyll"]].corr("spearman").iloc[0, 1] > 0.8


@pytest.mark.slow
def test_pages_say_what_they_are_of(leaves, model, capsys):
    patches = ["--patches", str(leaves / "leaves.nc")]
    one, whole = leaves / "why.html", leaves / "whole.html"
    assert main(["explain", "--model", str(model), *patches, "--sample", "leaf0003", "--out", str(one)]) == 0
    assert "red edge" in capsys.readouterr().out
    assert main(["explain", "--model", str(model), *patches, "--whole-model", "--out", str(whole)]) == 0
    for page in (one.read_text(), whole.read_text()):
        assert "icrocystin" not in page
        assert "water" not in page
        assert "simulated" in page
    assert "ug cm-2" in one.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "--sample", "nothing", "--out", "x.html"], "found none of that name: 'nothing'"),
        (["explain", "--out", "x.html"], "wanted --sample NAME, or --whole-model"),
        (["predict", "--profile", "who-2020", "--out", "x.csv"], "--profile is of microcystin"),
        (["predict", "--resample", "--out", "x.csv"], "--resample is of models of water"),
    ],
)
def test_what_such_a_model_does_not_do(leaves, model, words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, *rest = words
    given = [command, "--model", str(model), "--patches", str(leaves / "leaves.nc"), *rest]
    assert main(given) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_index_from_python(leaves, capsys, tmp_path, monkeypatch):
    from spectm.spectral import own_indices

    monkeypatch.setattr(own_indices, "_REGISTERED", {})
    (tmp_path / "mine.py").write_text(
        "from spectm.spectral.own_indices import register_index\n"
        "register_index('mine', lambda Rrs, nm: Rrs[..., 5], units='1', needs_nm=[425], reference='x')\n"
    )
    given = ["pretrain", "--patches", str(leaves / "leaves.nc"), *FAST, "--device", "cpu"]
    given += [
        "--set",
        'indices.own=["mine"]',
        "--set",
        "indices.built_in=false",
        "--out",
        str(tmp_path / "pre"),
    ]
    assert main(given) == 1
    assert "--python" in capsys.readouterr().err
    assert main([*given, "--python", str(tmp_path / "mine.py")]) == 0
    assert '"mine"' in (tmp_path / "pre" / "checkpoint.json").read_text()
    (tmp_path / "broken.py").write_text("1 / 0\n")
    assert main([*given, "--python", str(tmp_path / "broken.py")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert main([*given, "--python", str(tmp_path / "none.py")]) == 1
    assert "found none at" in capsys.readouterr().err


def test_a_record_is_asked_for_where_the_patches_need_one(study, capsys, tmp_path):
    assert main(["evaluate", "--patches", str(study.patches_file), "--out", str(tmp_path / "e")]) == 1
    assert "--labels" in capsys.readouterr().err
    given = ["evaluate", "--patches", str(study.patches_file), "--model", "erie-2024", "--out", str(tmp_path)]
    assert main(given) == 1
    assert "--labels" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_of_evaluate_know_an_index_from_python(leaves, tmp_path, monkeypatch):
    from spectm.spectral import own_indices

    monkeypatch.setattr(own_indices, "_REGISTERED", {})
    (tmp_path / "mine.py").write_text(
        "from spectm.spectral.own_indices import register_index\n"
        "def mine(Rrs, nm):\n    return Rrs[..., 5]\n"
        "register_index('mine', mine, units='1', needs_nm=[425], reference='x')\n"
    )
    given = [
        "evaluate",
        "--patches",
        str(leaves / "leaves.nc"),
        *FAST,
        "--quick",
        "--out",
        str(tmp_path / "e"),
    ]
    given += ["--set", 'indices.own=["mine"]', "--set", "indices.built_in=false"]
    assert main([*given, "--python", str(tmp_path / "mine.py")]) == 0
    assert len(pd.read_csv(tmp_path / "e" / "scores.csv")) == 15


@pytest.mark.slow
@pytest.mark.long
def test_the_tour_runs_as_written(tmp_path):
    page = ROOT / "docs" / "own-sensor.md"
    tour = subprocess.run(
        [sys.executable, ROOT / "tools" / "tour.py", page], capture_output=True, text=True, check=True
    )
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-eu"],
        input=tour.stdout,
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("estimates.csv", "why.html", "evaluation/report.md", "evaluation/estimates.png"):
        assert (tmp_path / name).stat().st_size > 500
