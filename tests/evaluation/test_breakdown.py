"""The default model in detail: tables whose numbers are known beforehand."""

import re

import numpy as np
import pandas as pd
import pytest

from spectm.cli.evaluate import _write_results
from spectm.evaluation import breakdown, figures
from spectm.evaluation.results import with_ensemble
from spectm.evaluation.run_folder import read_run_folder
from spectm.evaluation.summary import results_images, results_page
from tests.evaluation.conftest import MODELS
from tests.evaluation.test_findings_claims import rewrite
from tests.study import BANDS_NM, Study

WITH_DEFAULT = [*MODELS, ("spectm-blend", "season", (0.7, 0.5, 0.8), (0.3, 0.1, 0.5))]
# Twelve rows of stations WE2, WE4 and NA in turn, log10: WE2 is below detection.
OFF = np.array([0.2, 0.3, 0.5, 0.2, -0.3, 0.4, 0.2, 0.3, -0.6, 0.2, -0.3, 0.1])
USUAL = np.tile([0.4, 0.3, 0.5], 4)
WAVELENGTH = np.arange(550.0, 721.0, 10.0)


@pytest.fixture
def folder(make_run_folder):
    """Three samples of July, nine of June."""
    made = make_run_folder(models=WITH_DEFAULT)
    errors = {("spectm-blend", "season"): OFF, ("climatology", "season"): USUAL}
    errors |= {(model, context): USUAL + 0.1 for model, context, *_ in MODELS if model == "spectm"}
    rewrite(made, errors)
    path = made / "predictions.csv"
    lines = pd.read_csv(path, keep_default_na=False)
    for column in ("sample_time", "overpass_time", "fold"):
        lines[column] = lines[column].astype(str).str.replace("2024-06-24", "2024-07-01")
    lines.to_csv(path, index=False)
    return made


def test_by_station(folder) -> None:
    table = breakdown.group_table(read_run_folder(folder), "current", "station")
    assert table is not None
    assert table.caption == "Current week: spectm-blend, context season, by station"
    # Samples, below detection, days; RMSE and bias of the model and of the climatology; skill.
    known = {
        "NA": ("4", "0", "4", f"{np.sqrt((0.25 + 0.16 + 0.36 + 0.01) / 4):.2f}", "0.50", "0.10", "0.50"),
        "WE2": ("4", "4", "4", "0.20", "0.40", "0.20", "0.40"),
        "WE4": ("4", "0", "4", "0.30", "0.30", "0.00", "0.30"),
    }
    assert [row[0] for row in table.rows] == ["NA", "WE2", "WE4"]
    for row in table.rows:
        assert row[1:-1] == known[row[0]]
    assert table.rows[1][-1] == "0.75 [0.75, 0.75]"
    assert table.rows[2][-1] == "0.00 [0.00, 0.00]"


def test_by_month(folder) -> None:
    table = breakdown.group_table(read_run_folder(folder), "current", "month")
    assert table is not None
    assert [row[:4] for row in table.rows] == [("2024-06", "9", "3", "3"), ("2024-07", "3", "1", "1")]
    july = 1 - (0.04 + 0.09 + 0.01) / (0.16 + 0.09 + 0.25)
    assert table.rows[1][-1] == f"{july:.2f}"  # one day has no interval


def test_stations_are_in_the_order_of_their_numbers() -> None:
    assert sorted(["WE12", "buoy", "WE2", "A"], key=breakdown._in_order) == ["A", "WE2", "WE12", "buoy"]


def test_what_the_satellite_adds_is_corrected(folder) -> None:
    run = read_run_folder(folder)
    table = breakdown.added_table(run, "current")
    assert table is not None
    rows = {(row[0], row[1], row[2]): row[3:] for row in table.rows}
    observed = np.log10([0.1, 0.4, 1.2, 0.1, 0.6, 2.5, 0.1, 0.9, 9.0, 0.1, 0.3, 1.7])
    total = ((observed - observed.mean()) ** 2).sum()
    gain = ((USUAL**2).sum() - (OFF**2).sum()) / total
    difference, corrected, p, detectable, said = rows["spectm-blend", "season", "the calendar"]
    assert difference.startswith(f"{gain:.2f} [")
    assert corrected.startswith(f"{gain:.2f} [")
    low, corrected_low = (float(text.split("[")[1].split(",")[0]) for text in (difference, corrected))
    assert corrected_low < low
    assert 0 < float(p) <= 1
    assert float(detectable) > 0
    assert said == ("better" if corrected_low > 0 else "not told apart")
    # Persistence of the made folder is off by a factor of 1.5 in every row.
    beyond = ((np.log10(1.5) ** 2) * 12 - (OFF**2).sum()) / total
    assert rows["spectm-blend", "season", "the last laboratory value"][0].startswith(f"{beyond:.2f} [")
    assert not {key[0] for key in rows} & {"climatology", "persistence", "mean"}


def test_the_worst_with_their_spectra(folder) -> None:
    table = breakdown.worst_table(read_run_folder(folder), "current")
    assert table is not None
    first, second = table.rows
    assert first[:4] == ("1: NA", "2024-06-17 14:30", "4", "9.00")  # four hours, rounded from 3.5
    assert first[4] == f"{9 * 10**-0.6:.2f}"
    assert first[5] == f"{9 * 10**0.5:.2f}"
    assert first[6] == "4.0 times too low"
    assert first[7:] == ("1.00",) * 5
    assert second[0] == "2: NA"
    assert second[6] == "3.2 times too high"
    assert second[7:] == ("2.00",) * 5


def test_a_band_that_is_not_there_is_not_made_up() -> None:
    assert breakdown._at(WAVELENGTH, WAVELENGTH, 681.0) == "680.00"
    assert breakdown._at(WAVELENGTH[:5], WAVELENGTH[:5], 681.0) == "n/a"


@pytest.mark.slow
def test_a_run_without_the_default_model(make_run_folder) -> None:
    run = read_run_folder(make_run_folder())
    assert breakdown.group_table(run, "current", "station") is None
    assert breakdown.worst_table(run, "current") is None
    assert breakdown.worst_picture(run, "current") is None
    assert "Current week: it was not run" in results_page(run.path)


def test_the_ten_worst_are_found_as_they_are_scored(study: Study) -> None:
    task = study.tasks["current"]
    mean = task.y + 0.01 * np.arange(32)
    mean[task.below] = -9.0  # counts as the limit, which it is
    lines = {"task": "current", "split": "leave-date-out", "model": "spectm-blend", "context": "season"}
    lines |= {"seed": 0, "repeat": 0, "fold": "x", "row": np.arange(32), "mean": mean, "spread": 0.1}
    other = pd.DataFrame({**lines, "model": "ridge"}).assign(mean=task.y[::-1])
    predictions = with_ensemble(pd.concat([pd.DataFrame(lines), other], ignore_index=True))
    found = breakdown.worst_spectra(study.tasks, predictions)
    wanted = [row for row in range(31, -1, -1) if not task.below[row]][:10]
    assert found.groupby("rank")["station"].first().tolist() == task.rows["station"][wanted].tolist()
    assert len(found) == 10 * BANDS_NM.size
    worst = found[found["rank"] == 1]
    np.testing.assert_array_equal(worst["Rrs"], task.spectra[wanted[0]])
    np.testing.assert_array_equal(worst["wavelength"], BANDS_NM)
    np.testing.assert_array_equal(worst["typical"], np.median(task.spectra, axis=0))
    moment = task.rows["sample_time"][wanted[0]].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert set(worst["sample_time"]) == {moment}
    assert breakdown.worst_spectra(study.tasks, predictions[predictions["model"] == "ridge"]).empty


@pytest.mark.slow
def test_pages_hold_them(folder, monkeypatch) -> None:
    monkeypatch.setattr(figures, "to_picture", lambda canvas, alt, text: figures.Picture("data:,", alt, text))
    from spectm.evaluation.report import write_report

    text = write_report(folder).read_text(encoding="utf-8")
    page = results_page(folder)
    for caption in ("by station", "by month", "the 2 worst predictions", "what the satellite adds"):
        assert caption in text
        assert caption in page
    picture = breakdown.worst_picture(read_run_folder(folder), "current")
    assert picture is not None
    assert "NA 2024-06-17 4.0 times too low, NA 2024-06-03 3.2 times too high" in picture.alt
    assert f"![{picture.alt}](images/results-worst-current.svg)" in page
    linked = set(re.findall(r"\(images/(.*?)\)", page))
    assert set(results_images(folder)) == linked


@pytest.mark.slow
def test_pictures_go_beside_the_page(folder, tmp_path) -> None:
    written = _write_results(folder, tmp_path / "docs" / "results.md")
    pictures = sorted((tmp_path / "docs" / "images").iterdir())
    assert sorted(written) == [*pictures, tmp_path / "docs" / "results.md"]
    linked = re.findall(r"\(images/(.*?)\)", (tmp_path / "docs" / "results.md").read_text(encoding="utf-8"))
    assert [path.name for path in pictures] == sorted(linked) != []
    assert all(path.read_bytes().startswith(b"<?xml") for path in pictures)
