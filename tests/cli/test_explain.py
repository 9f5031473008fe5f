"""`spectm explain`: pages from files, and one line where something is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spectm.cli.main import main
from spectm.data.labels import surface_samples
from spectm.data.memory import Record
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.run import EvaluationSettings
from spectm.model.encoder import EncoderConfig
from spectm.training.checkpoint import write_checkpoint
from spectm.training.forecaster import train_forecaster
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.released import save_forecaster
from tests.study import Study


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    settings = EvaluationSettings(encoder=EncoderConfig(width=16, depth=1, heads=2))
    fresh = untrained(pretraining_data([study.patches]), settings, seed=0)
    task = study.tasks["current"]
    record = Record.fit(surface_samples(study.labels), last_year=2023)
    model = train_forecaster([fresh], settings, study.patches, task.rows, task.y, record, {"files": []})
    path = tmp_path_factory.mktemp("model") / "tiny"
    save_forecaster(calibrate_forecaster(model, study.patches, study.tasks), path)
    return path


def words(study: Study, folder: Path, out: Path, *more: str) -> list[str]:
    files = ["--model", str(folder), "--patches", str(study.patches_file), "--out", str(out)]
    return ["explain", *files, *more]


@pytest.mark.slow
def test_a_page_of_one_place_and_day(study: Study, folder: Path, tmp_path, capsys) -> None:
    out = tmp_path / "page.html"
    assert main(words(study, folder, out, "--station", "B", "--date", "2024-07-08", "--horizon", "8")) == 0
    said = capsys.readouterr().out
    assert "B, 2024-07-16:" in said
    assert "the calendar" in said
    assert f"wrote {out}" in said
    page = out.read_text(encoding="utf-8")
    assert "Why this estimate? B, 2024-07-16, 8 days ahead" in page
    assert "tiny: 1 member, 32 samples" in page


@pytest.mark.slow
def test_a_page_of_the_whole_model(study: Study, folder: Path, tmp_path, capsys) -> None:
    out = tmp_path / "page.html"
    more = ["--whole-model", "--labels", str(study.labels_file), "--shuffles", "2"]
    assert main(words(study, folder, out, *more)) == 0
    assert "63 spectra; attribution incomplete for 0" in capsys.readouterr().out
    assert "What does tiny look at?" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "wanted --station, or --latitude and --longitude; found neither"),
        (["--station", "B"], "--date wants a local day such as 2024-08-12, found None"),
        (["--station", "B", "--date", "8/5/2024"], "--date wants a local day"),
        (["--station", "B", "--date", "2024-07-08", "--time", "25:00"], "--time wants hour and minute"),
        (
            ["--station", "B", "--date", "2024-07-08", "--horizon", "90"],
            "--horizon wants 0, or 5 to 11 days, found 90",
        ),
        (["--station", "B", "--latitude", "41", "--date", "2024-07-08"], "wanted --station, or --latitude"),
        (["--whole-model", "--station", "B"], "--whole-model is about all patches; leave out --station"),
        (["--station", "B", "--date", "2024-07-08", "--labels", "x"], "--labels goes with --whole-model"),
        (["--whole-model", "--shuffles", "0"], "--shuffles wants 1 or more"),
        (["--station", "B", "--date", "2024-07-10"], "the nearest days with one are"),
    ],
)
def test_what_can_not_be_asked(study: Study, folder: Path, tmp_path, capsys, more, message) -> None:
    assert main(words(study, folder, tmp_path / "page.html", *more)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_a_network_can_not_be_explained(study: Study, tmp_path, capsys) -> None:
    write_checkpoint(tmp_path / "net", kind="regressor", weights={}, meta={"wavelength_nm": [500.0]})
    more = ["--station", "B", "--date", "2024-07-08"]
    assert main(words(study, tmp_path / "net", tmp_path / "page.html", *more)) == 1
    assert "holds a 'regressor' checkpoint, wanted 'forecaster'" in capsys.readouterr().err
