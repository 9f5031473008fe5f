"""Own samples: what a tuned model keeps, says and writes; draws that are paired; what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.data.patches import write_patches
from spectm.errors import ConfigError, TrainingError
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.own_lake import ALONE, RIDGE, START, TUNED, OwnLakeConfig, compared_draws, own_lake
from spectm.evaluation.own_lake_page import own_lake_page
from spectm.evaluation.study import earlier_years
from spectm.training.forecaster import Forecaster, train_forecaster
from spectm.training.released import load, save_forecaster
from spectm.training.settings import Settings
from tests.study import Study


@pytest.fixture(scope="session")
def start(study: Study) -> Forecaster:
    """A model of the first half of the dates, without an encoder."""
    task = study.tasks["current"]
    early = task.dates < "2024-07-01"
    record = earlier_years(study.patches, study.labels)
    given = (study.patches, task.rows[early], task.y[early], record, {"name": "start"})
    model = train_forecaster([], Settings(), *given)
    return calibrate_forecaster(model, study.patches, study.tasks)


@pytest.fixture(scope="session")
def start_folder(start: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "first"
    save_forecaster(start, folder)
    return folder


def finetune(start_folder: Path, study: Study, out: Path, *more: str) -> int:
    words = ["finetune", "--start", start_folder, "--patches", study.patches_file, "--labels"]
    return main([*map(str, [*words, study.labels_file, "--out", out]), *more])


@pytest.mark.slow
def test_a_tuned_model_is_like_any_other(start_folder, start, study, tmp_path, capsys) -> None:
    assert finetune(start_folder, study, tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert "% of what the samples teach is used" in printed.out
    assert "note: all samples are of one year" in printed.err
    tuned = load(tmp_path / "out")
    provenance = tuned.meta["provenance"]
    assert provenance["start"]["name"] == "first"
    weights = json.loads((start_folder / "checkpoint.json").read_text())["files"]["weights"]
    assert provenance["start"]["weights"] == weights
    assert provenance["start"]["provenance"] == {"name": "start"}
    assert len(provenance["shares"]) == 1
    assert 0 <= provenance["shares"][0] <= 1
    assert provenance["n_rows"] == len(study.tasks["current"].rows)
    assert set(start.meta["samples"]) <= set(tuned.meta["samples"])
    assert set(start.meta["times"]) <= set(tuned.meta["times"])
    assert set(tuned.calibration) == {"current", "ahead"}
    estimates = tmp_path / "estimates.csv"
    words = ["predict", "--model", tmp_path / "out", "--patches", study.patches_file, "--out", estimates]
    assert main([str(word) for word in words]) == 0
    assert pd.read_csv(estimates)["microcystin_ug_per_l"].notna().sum() == 63


@pytest.mark.slow
def test_what_start_does_not_go_with(start_folder, study, tmp_path, capsys) -> None:
    for more, message in (
        (("--pretrained", "x"), "wanted either --pretrained DIR or --start NAME, found both"),
        (("--head", "network"), "no --head network"),
        (("--set", "masking.guard_nm=5"), "--start keeps the settings of the model"),
        (("--seed", "1"), "--seed is an option of --head network"),
    ):
        assert finetune(start_folder, study, tmp_path / "out", *more) == 1
        assert message in capsys.readouterr().err
    words = ["finetune", "--patches", "x", "--labels", "y", "--out", "z"]
    assert main(words) == 1
    assert "found neither" in capsys.readouterr().err


def test_differences_are_paired_over_draws(study: Study) -> None:
    """Draw 1 is worse for all models alike, so that differences do not see it."""
    task = study.tasks["current"]
    test = np.arange(16, 32)
    y = task.y[test]
    parts = []
    for model, error in ((START, 0.5), (TUNED, 0.1), (RIDGE, 0.3), (ALONE, 0.05)):
        for draw in (0, 1):
            mean = np.maximum(y + np.sqrt(error + 0.2 * draw), -0.9)
            part = {"model": model, "draw": draw, "dates": 2, "samples": 8 + draw, "row": test, "mean": mean}
            parts.append(pd.DataFrame(part))
    table = compared_draws(task, test, pd.concat(parts).sample(frac=1, random_state=0)).set_index("model")
    unit = y.size / ((y - y.mean()) ** 2).sum()
    assert table.loc[START, "difference"] == pytest.approx(0.4 * unit)
    assert table.loc[RIDGE, "difference"] == pytest.approx(0.2 * unit)
    assert table.loc[ALONE, "difference"] == pytest.approx(-0.05 * unit)
    assert table.loc[TUNED, "r2"] == pytest.approx(1 - 0.2 * unit)
    assert np.isnan(table.loc[TUNED, "difference"])
    assert table["samples"].tolist() == [8.5] * 4


def test_the_page_reads_its_table() -> None:
    lines = []
    for dates, samples, ridge in ((2, 9.0, 0.4), (8, 40.0, -0.2)):
        line = {"dates": dates, "samples": samples, "n_draws": 20, "r2": 0.5, "r2_low": 0.4, "r2_high": 0.6}
        lines.append({**line, "model": TUNED})
        for model, value in ((START, 0.1), (RIDGE, ridge), (ALONE, 0.0)):
            claim = {"difference": value, "low": value - 0.1, "high": value + 0.1, "detectable": 0.1}
            claim |= {"corrected_low": value - 0.15, "corrected_high": value + 0.15}
            lines.append({**line, "model": model, **claim})
    record = {"command": "spectm own-lake", "quick": False, "simulated": True, "spectm_version": "1"}
    record |= {"written": "2026-01-02T03:04:05+00:00", "files": [], "start": "erie-2024", "optics": "brown"}
    of_split = {"split": "next-year", "tested": "2024", "n_test": 77, "n_test_dates": 9}
    page = own_lake_page(pd.DataFrame(lines).assign(**of_split), record)
    assert "## Another year than those learned from\n\nTested on 77 samples of 9 dates (2024)." in page
    assert "Everything here is simulated" in page
    assert (
        "ridge regression on own samples alone, tuning is better with 9 samples; worse with 40 samples"
        in page
    )
    assert "the released model, unchanged, tuning is better with no number; worse with no number" in page
    assert "| 2 | 9 | 0.40 [0.30, 0.50] | [0.25, 0.55] | 0.10 | better |" in page
    assert "too few for a claim" not in page


def two_years(study: Study, tmp_path: Path) -> list[str]:
    """The miniature's 2024, and the same flights two years before, where its record has samples."""
    patches = study.patches
    earlier = replace(patches, time=patches.time - np.timedelta64(366 + 365, "D"))
    both = {
        name: np.concatenate([getattr(earlier, name), getattr(patches, name)])
        for name in ("Rrs", "time", "station", "latitude", "longitude")
    }
    write_patches(replace(patches, **both), tmp_path / "two.nc")
    return ["--patches", str(tmp_path / "two.nc"), "--labels", str(study.labels_file)]


@pytest.mark.slow
def test_the_study_is_resumed_and_written(start_folder, study, tmp_path, capsys) -> None:
    words = ["own-lake", "--start", str(start_folder), *two_years(study, tmp_path), "--workers", "1"]
    words += ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results.md"), "--quick"]
    assert main(words) == 0
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "<!-- section own-lake -->\n## A released model on another lake" in page
    assert "A quick run (2 draws" in page
    table = pd.read_csv(tmp_path / "out" / "own_lake.csv")
    of_year = table[table["split"] == "next-year"]
    assert set(of_year["tested"].astype(str)) == {"2024"}
    assert set(table[table["split"] == "other-dates"]["tested"]) == {"2022 2024"}
    assert sorted(set(of_year["dates"])) == [2, 4, 8]
    assert (of_year[of_year["model"] == START]["r2"].nunique(), len(of_year)) == (1, 12)
    jobs = sorted((tmp_path / "out" / "jobs").iterdir())
    assert [path.name for path in jobs] == [
        f"{split}.{draw}.csv" for split in ("next-year", "other-dates") for draw in (0, 1)
    ]
    lines = pd.read_csv(jobs[0])
    assert lines.groupby("dates")["samples"].first().is_monotonic_increasing
    before = table.to_csv()
    jobs[1].unlink()
    assert main(words) == 0
    assert pd.read_csv(tmp_path / "out" / "own_lake.csv").to_csv() == before
    capsys.readouterr()


def test_one_year_can_not_be_tested(start, study, tmp_path) -> None:
    given = (start, study.patches, study.labels, OwnLakeConfig(workers=1), tmp_path)
    with pytest.raises(TrainingError, match=r"found 31 and 0 that pair|found 32 and 0 that pair"):
        own_lake(*given, identity={}, progress=False)
    with pytest.raises(ConfigError, match="found 0 draws"):
        OwnLakeConfig(draws=0)
