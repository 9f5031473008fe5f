"""The mark of what is simulated travels from granule to page, and real and simulated data are not mixed."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spectm.cli.main import main
from spectm.data.cube import open_cube
from spectm.data.labels import read_labels
from spectm.data.matchups import matchups
from spectm.data.patches import read_patches, write_patches
from spectm.errors import OriginError
from tests.data.granules import swath_grid, write_l2_granule
from tests.study import Study

NM = np.array([443.0, 560, 665])
HEADER = "station,time,microcystin,latitude,longitude,source\n"


@pytest.fixture
def granule(tmp_path: Path) -> Callable[[str, bool], Path]:
    """Writes a day of one place, simulated or not."""

    def write(day: str, simulated: bool) -> Path:
        latitude, longitude = swath_grid(8, 8, tilt=0.0)
        folder = tmp_path / ("simulated" if simulated else "real")
        folder.mkdir(exist_ok=True)
        return write_l2_granule(
            folder / f"PACE_OCI.{day.replace('-', '')}T180000.L2.OC_AOP.V3_1.nc",
            latitude=latitude,
            longitude=longitude,
            Rrs=np.full((8, 8, 3), 0.01),
            wavelength=NM,
            time=f"{day}T18:00:00",
            attrs={"simulated": np.array([1], dtype=np.int32)} if simulated else {},
        )

    return write


@pytest.fixture
def record(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a laboratory record that says so of its source."""

    def write(*sources: str) -> Path:
        path = tmp_path / f"{'-'.join(sources)}.csv"
        lines = [
            f"Pier,2024-08-{4 + number:02}T20:00Z,1.5,41.44,-83.47,{source}\n"
            for number, source in enumerate(sources)
        ]
        path.write_text(HEADER + "".join(lines))
        return path

    return write


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.slow
@pytest.mark.parametrize("simulated", [True, False])
def test_from_granule_to_patches(
    granule: Callable[[str, bool], Path],
    record: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    simulated: bool,
) -> None:
    folder, cube = granule("2024-08-04", simulated).parent, tmp_path / "cube.zarr"
    labels = record("simulated" if simulated else "field")
    assert run("compose", folder, "--region=-83.5,41.4,-83.4,41.5", "--out", cube, "--workers", 1) == 0
    assert run("patches", cube, "--out", tmp_path / "cut.nc") == 0
    for source, name in (("--granules", "a"), ("--cube", "b")):
        place = folder if name == "a" else cube
        out = ("--out", tmp_path / f"{name}.csv", "--write-patches", tmp_path / f"{name}.nc")
        assert run("matchups", source, place, "--labels", labels, "--max-hours", 100, *out) == 0
    with open_cube(cube) as opened:
        assert opened.attrs.get("simulated") == (1 if simulated else None)
        assert ("simulated" in opened.attrs["title"]) == simulated
        assert ("NASA" in opened.attrs["source"]) != simulated
    for name in ("cut", "a", "b"):
        patches = read_patches(tmp_path / f"{name}.nc")
        assert patches.simulated == patches.select(slice(1)).simulated == simulated
        assert ("NASA" in patches.source) != simulated or name == "cut"
    capsys.readouterr()
    for file in (next(folder.iterdir()), cube, tmp_path / "a.nc"):
        assert run("inspect", file) == 0
        assert ("SIMULATED" in capsys.readouterr().out) == simulated


@pytest.mark.slow
def test_a_mix_of_granules_is_refused(
    granule: Callable[[str, bool], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, made_up = granule("2024-08-04", False), granule("2024-08-12", True)
    where = ("--region=-83.5,41.4,-83.4,41.5", "--workers", 1, "--out")
    assert run("compose", real, made_up, *where, tmp_path / "both.zarr") == 1
    said = capsys.readouterr().err
    assert f"simulated {made_up.name}, real {real.name}" in said
    assert not (tmp_path / "both.zarr").exists()
    assert run("compose", real, *where, tmp_path / "real.zarr") == 0
    assert run("compose", made_up, *where, tmp_path / "real.zarr") == 1
    assert "found both: simulated the granules, real the cube" in capsys.readouterr().err


@pytest.mark.slow
def test_a_mix_of_laboratory_and_satellite_is_refused(
    granule: Callable[[str, bool], Path],
    record: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    study: Study,
) -> None:
    for simulated, source in ((True, "field"), (False, "simulated")):
        out = ("--out", tmp_path / "m.csv")
        assert run(
            "matchups", "--granules", granule("2024-08-04", simulated), "--labels", record(source), *out
        )
        assert "wanted real data or simulated data, found both" in capsys.readouterr().err
    with pytest.raises(OriginError, match="line 3"):
        read_labels(record("simulated", "field"))
    made_up = dataclasses.replace(study.patches, simulated=True)
    for task in ("current", "ahead"):
        with pytest.raises(OriginError, match="real the laboratory's record"):
            matchups(task, made_up, study.labels)


@pytest.mark.slow
def test_models_and_estimates(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up = dataclasses.replace(study.patches, simulated=True)
    write_patches(made_up, tmp_path / "patches.nc")
    assert xr.open_dataset(tmp_path / "patches.nc").attrs["simulated"] == 1
    labels = tmp_path / "labels.csv"
    header, *lines = study.labels_file.read_text().splitlines()
    labels.write_text("\n".join([f"{header},source", *(f"{line},simulated" for line in lines)]) + "\n")
    small = ("--set", "encoder.width=16", "--set", "pretraining.loop.steps=2")
    for name, patches in (("made-up", tmp_path / "patches.nc"), ("real", study.patches_file)):
        assert run("pretrain", "--patches", patches, "--out", tmp_path / name, *small) == 0
        header = json.loads((tmp_path / name / "checkpoint.json").read_text())
        assert header["provenance"]["simulated"] == (name == "made-up")
        assert header["provenance"]["files"][0]["simulated"] == (name == "made-up")
    for out, pretrained, patches, record in (
        ("a", "made-up", tmp_path / "patches.nc", labels),
        ("b", "made-up", study.patches_file, study.labels_file),
        ("c", "real", study.patches_file, study.labels_file),
    ):
        words = ("--pretrained", tmp_path / pretrained, "--patches", patches, "--labels", record)
        assert run("finetune", *words, "--out", tmp_path / out) == 0
        header = json.loads((tmp_path / out / "checkpoint.json").read_text())
        assert header["provenance"]["simulated"] == (out != "c")
    capsys.readouterr()
    notes = {}
    files = {"a": tmp_path / "patches.nc", "b": study.patches_file, "c": study.patches_file}
    for model, patches in files.items():
        out = tmp_path / f"{model}.csv"
        assert run("predict", "--model", tmp_path / model, "--patches", patches, "--out", out) == 0
        notes[model] = pd.read_csv(out, keep_default_na=False)["note"].iloc[0], capsys.readouterr().err
    both = "simulated patches; model of simulated data"
    assert notes["a"] == (both, f"note: {both}\n")
    assert notes["b"] == ("model of simulated data", "note: model of simulated data\n")
    assert notes["c"] == ("", "")
