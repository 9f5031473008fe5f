"""Other band lists: which spectra a model sees, that pairs are pairs, and that a run goes on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.errors import ConfigError
from spectm.evaluation import transfer as module
from spectm.evaluation.study import headline_study
from spectm.evaluation.transfer import (
    MOVED,
    OWN,
    RETRAINED,
    TransferConfig,
    compared,
    describe_lists,
    on_list,
    source_of,
    transfer,
)
from spectm.spectral.sensors import Sensor, named_sensor
from spectm.training.settings import Settings
from tests.study import BANDS_NM, Study


@pytest.fixture
def settings(tiny_settings) -> Settings:
    return Settings(encoder=tiny_settings.encoder, pretraining=tiny_settings.pretraining)


def test_the_source_is_oci_or_what_the_patches_have(study: Study) -> None:
    own = source_of(study.patches)
    assert own.wavelength.tolist() == BANDS_NM.tolist()
    assert set(own.width_nm) == {5.0}  # the smallest step of the list
    oci = named_sensor("oci-aop-v3")
    rows = np.zeros((study.patches.n_samples, 172, 3, 3), dtype=np.float32)
    assert source_of(replace(study.patches, Rrs=rows, wavelength=oci.wavelength)).name == "oci-aop-v3"


def test_the_same_pixels_count_on_another_list(study: Study) -> None:
    """Patch 8 has a gap at 480 nm in one pixel: it is left out also where the list has no band there."""
    red = Sensor(name="red", wavelength=np.array([643.0, 665.5]), width_nm=np.array([5.0, 15.0]))
    found = on_list(study.patches, source_of(study.patches), red)
    np.testing.assert_array_equal(found.valid, study.patches.valid)
    assert not found.valid[8, 1, 1]
    assert found.Rrs.dtype == np.float32
    band = int(np.flatnonzero(BANDS_NM == 643.0)[0])
    np.testing.assert_allclose(found.Rrs[20, 0], study.patches.Rrs[20, band], rtol=1e-6)
    # 658-673 nm: from 658, 663, 668 and 673 nm by trapezia, a third each.
    at = {nm: study.patches.Rrs[20, int(np.flatnonzero(nm == BANDS_NM)[0])] for nm in (658, 663, 668, 673)}
    wanted = (at[658] / 2 + at[663] + at[668] + at[673] / 2) / 3
    np.testing.assert_allclose(found.Rrs[20, 1], wanted, rtol=2e-3)


def test_differences_are_of_the_same_seed(study: Study, settings: Settings) -> None:
    """The other list is worse by the same at either seed, so that the seeds add nothing to the interval."""
    whole = headline_study(study.patches, study.labels, study.unlabelled, settings, ("current",))
    task = whole.tasks["current"]
    parts = []
    for way, more in ((OWN, 0.0), (MOVED, 0.3), (RETRAINED, 0.1)):
        for seed in (0, 1):
            mean = np.maximum(task.y + np.sqrt(0.1 + 0.2 * seed + more), -0.9)
            part = {"bands": "x" if way == OWN else "y", "way": way, "task": "current", "context": "none"}
            part |= {"model": "spectm-blend", "seed": seed, "row": np.arange(task.y.size), "mean": mean}
            parts.append(pd.DataFrame(part))
    table = compared(whole, pd.concat(parts).sort_values("way")).set_index("way")
    total = ((task.y - task.y.mean()) ** 2).sum()
    assert table.loc[MOVED, "difference"] == pytest.approx(-0.3 * task.y.size / total)
    assert table.loc[RETRAINED, "difference"] == pytest.approx(-0.1 * task.y.size / total)
    assert table.loc[OWN, "r2"] == pytest.approx(1 - 0.2 * task.y.size / total)
    assert np.isnan(table.loc[OWN, "difference"])
    assert table["n_seeds"].tolist() == [2, 2, 2]


def test_windows_without_a_band_are_counted() -> None:
    table = describe_lists(named_sensor("oci-aop-v3"), ("sentinel-2-msi",), Settings()).set_index("bands")
    # MSI has 443, 490, 560, 665 and 705 nm below 719 nm: none between 615 and 640.
    assert table.loc["sentinel-2-msi", ["n_listed", "n_used"]].tolist() == [13, 5]
    assert table.loc["sentinel-2-msi", ["615-640 nm", "660-680 nm", "695-720 nm"]].tolist() == [0, 1, 1]
    # Half of the step from 443 to 490 nm is 23.5 nm: nothing below 419.5 nm.
    assert table.loc["sentinel-2-msi", "beyond_to_nm"] == 418
    assert table.loc["oci-aop-v3", "beyond"] == 0


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="found 0 seeds, 2 workers and 5 lists"):
        TransferConfig(seeds=0)


@pytest.mark.slow
def test_a_list_of_all_bands_changes_nothing(study, settings, tmp_path, monkeypatch) -> None:
    """The source's own bands as another sensor: resampled or trained anew, not a digit moves."""
    own = source_of(study.patches)
    monkeypatch.setattr(module, "named_sensor", lambda name: replace(own, name=name))
    config = TransferConfig(seeds=1, workers=1, tasks=("current",), lists=("same",))
    given = (study.patches, study.labels, study.unlabelled, settings, config, tmp_path)
    table = transfer(*given, identity={"files": []}, progress=False)
    assert len(table) == 2 * 2 * 3
    for _, group in table.groupby(["context", "model"]):
        assert group["r2"].nunique() == 1
    assert table["difference"].dropna().abs().max() == 0


@pytest.mark.slow
def test_the_command_writes_its_section(study: Study, tmp_path, capsys) -> None:
    settings = tmp_path / "tiny.toml"
    settings.write_text(
        "[encoder]\nwidth = 16\ndepth = 1\nheads = 2\n[pretraining.loop]\nsteps = 2\n", encoding="utf-8"
    )
    results = tmp_path / "results.md"
    results.write_text("# Results\n\nof spectm evaluate\n", encoding="utf-8")
    words = ["transfer", "--patches", study.patches_file, "--unlabelled", study.pixels_file, "--labels"]
    words += [study.labels_file, "--out", tmp_path / "out", "--quick", "--workers", "1", "--config", settings]
    words += ["--lists", "sentinel-2-msi", "--results", results]
    assert main([str(word) for word in words]) == 0
    page = results.read_text(encoding="utf-8")
    assert page.startswith(
        "# Results\n\nof spectm evaluate\n\n<!-- section transfer -->\n## Transfer to other"
    )
    assert "**A quick run (1 seed, short pretraining)" in page
    assert "| sentinel-2-msi | 13 | 5 | none | 1 | 1 | 1 (to 400 nm) |" in page
    assert "Resampled" in page
    table = pd.read_csv(tmp_path / "out" / "transfer.csv")
    assert set(table["way"]) == {OWN, MOVED, RETRAINED}
    assert len(table) == 2 * 2 * 2 * 3
    identity = (tmp_path / "out" / "study.json").read_text(encoding="utf-8")
    assert '"from_nm"' in identity
    capsys.readouterr()
    assert main([*map(str, words), "--set", "masking.guard_nm=5"]) == 1
    assert "results of another study" in capsys.readouterr().err
