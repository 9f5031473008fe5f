"""Files of every format version there has been are read, and later versions are refused with what to do."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spectm.apps.store import open_store
from spectm.data.catalog.manifest import read_manifest
from spectm.data.cube import open_cube
from spectm.data.patches import read_patches
from spectm.errors import SpectmError
from spectm.evaluation.run_folder import read_run_folder
from spectm.simulation.season import read_season
from spectm.training.checkpoint import read_checkpoint
from tests.formats.make import HERE, VERSIONS, WRITERS, kept

PACKED = sorted(HERE.glob("*.zip"))
LATER = ("99", '"2"', "null")


def check_checkpoint(folder: Path) -> None:
    found = read_checkpoint(folder, kind="pretrained")
    assert found.weights["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.meta["wavelength_nm"] == [443.0, 665.0]


def check_cube(folder: Path) -> None:
    cube = open_cube(folder / "made.zarr")
    assert cube["Rrs"].dims == ("time", "lat", "lon", "wavelength")
    assert cube["Rrs"].shape == (1, 2, 3, 3)
    assert np.isfinite(cube["Rrs"].values).all()
    assert cube["wavelength"].values.tolist() == [443.0, 560.0, 665.0]


def check_evaluation(folder: Path) -> None:
    run = read_run_folder(folder)
    assert run.record["labels"] == "glerl"
    assert run.predictions["observed"].tolist() == [0.4]
    assert run.scores["r2"].tolist() == [0.5]


def check_manifest(folder: Path) -> None:
    (entry,) = read_manifest(folder).entries.values()
    assert (entry.product, entry.size_bytes, entry.sha256) == ("l2-aop", 7, "ab" * 32)


def check_patches(folder: Path) -> None:
    patches = read_patches(folder / "patches.nc")
    assert patches.Rrs.shape == (2, 3, 3, 3)
    np.testing.assert_allclose(patches.Rrs[1, 2, 2, 2], 0.02)
    assert patches.station.tolist() == ["é0", "é1"]
    assert str(patches.time[1])[:19] == "2024-08-05T12:00:01"


def check_predictions(folder: Path) -> None:
    store = open_store(folder)
    assert store.horizons == (0.0, 8.0)
    assert store.estimate().median.shape == (2, 3)
    assert [profile.name for profile in store.profiles] == ["who-2020", "epa-2019"]


def check_simulation(folder: Path) -> None:
    found = read_season(folder)
    assert (found.years, found.seed) == ((2024,), 7)


CHECKS: dict[str, Callable[[Path], None]] = {
    "spectm-checkpoint": check_checkpoint,
    "spectm-cube": check_cube,
    "spectm-evaluation": check_evaluation,
    "spectm-manifest": check_manifest,
    "spectm-patches": check_patches,
    "spectm-predictions": check_predictions,
    "spectm-simulation": check_simulation,
}
HEADERS = {
    "spectm-checkpoint": "checkpoint.json",
    "spectm-cube": "made.zarr/zarr.json",
    "spectm-evaluation": "run.json",
    "spectm-manifest": "manifest.json",
    "spectm-predictions": "run.json",
    "spectm-simulation": "simulation.json",
}


def unpacked(path: Path, folder: Path) -> tuple[str, Path]:
    """Name of the format, and the folder with its file."""
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
    return path.stem.rpartition("-")[0], folder


def test_every_version_there_has_been_is_kept() -> None:
    wanted = {kept(name, version) for name, last in VERSIONS.items() for version in range(1, last + 1)}
    assert set(PACKED) == wanted, "a new version: run `python -m tests.formats.make` and keep the older file"
    assert set(CHECKS) == set(VERSIONS) == set(WRITERS)
    assert sum(path.stat().st_size for path in PACKED) < 100_000


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.stem)
def test_a_kept_file_is_read(path: Path, tmp_path: Path) -> None:
    name, folder = unpacked(path, tmp_path)
    CHECKS[name](folder)


@pytest.mark.parametrize("name", VERSIONS)
def test_what_is_written_today_is_what_is_kept(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / "files")
    CHECKS[name](tmp_path / "files")


def with_version(text: str, version: str) -> str:
    changed, n = re.subn(r'("format_version": ?)\d+', lambda found: found[1] + version, text)
    assert n == 1
    json.loads(changed)
    return changed


@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize("name", HEADERS)
def test_a_later_version_is_refused(name: str, version: str, tmp_path: Path) -> None:
    unpacked(kept(name, VERSIONS[name]), tmp_path)
    header = tmp_path / HEADERS[name]
    header.write_text(with_version(header.read_text(encoding="utf-8"), version), encoding="utf-8")
    with pytest.raises(SpectmError) as refused:
        CHECKS[name](tmp_path)
    said = str(refused.value)
    assert header.name in said or header.parent.name in said
    if version == "99":
        assert re.search(r"99.*Use a newer spectm", said)


def test_a_later_version_of_the_maps_is_refused_too(tmp_path: Path) -> None:
    unpacked(kept("spectm-predictions", 1), tmp_path)
    header = tmp_path / "predictions.zarr" / "zarr.json"
    header.write_text(with_version(header.read_text(encoding="utf-8"), "99"), encoding="utf-8")
    with pytest.raises(SpectmError, match=r"99 .*Use a newer spectm"):
        open_store(tmp_path)


@pytest.mark.parametrize("version", [2, np.array([2]), np.int64(99), "new"], ids=repr)
def test_later_patches_are_refused(version: Any, tmp_path: Path) -> None:
    unpacked(kept("spectm-patches", 1), tmp_path)
    with h5py.File(tmp_path / "patches.nc", "r+") as file:
        file.attrs["format_version"] = version
    with pytest.raises(
        SpectmError, match=r"spectm-patches of version 1 or older, found .* Use a newer spectm"
    ):
        read_patches(tmp_path / "patches.nc")
