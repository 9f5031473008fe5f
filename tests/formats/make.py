"""Writes one small file of each format as this version has it, packed: ``python -m tests.formats.make``.

What is there is left alone. When a format gets a new version, run this and commit the new file: the old one
stays, so that what people have on their disks is read for as long as `docs/api.md` says.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from spectm.apps import store_writer
from spectm.data import cube, patch_file
from spectm.data.catalog import manifest
from spectm.evaluation import run_folder
from spectm.simulation import season
from spectm.simulation.season import SeasonConfig
from spectm.training import checkpoint
from spectm.training.checkpoint import write_checkpoint
from tests.apps.stores import make_store
from tests.data.cubes import make_cube, numbered
from tests.data.test_patch_file import make_file

HERE = Path(__file__).parent
VERSIONS = {
    "spectm-checkpoint": checkpoint.FORMAT_VERSION,
    "spectm-cube": cube.FORMAT_VERSION,
    "spectm-evaluation": run_folder.FORMAT_VERSION,
    "spectm-manifest": manifest.FORMAT_VERSION,
    "spectm-patches": patch_file.FORMAT_VERSION,
    "spectm-predictions": store_writer.FORMAT_VERSION,
    "spectm-simulation": season.FORMAT_VERSION,
}


def write_model(folder: Path) -> None:
    meta: dict[str, Any] = {"wavelength_nm": [443.0, 665.0], "units": "sr-1", "settings": {}, "seed": 3}
    write_checkpoint(
        folder, kind="pretrained", weights={"weight": torch.arange(6.0).reshape(2, 3)}, meta=meta
    )


def write_cube(folder: Path) -> None:
    make_cube(folder / "made.zarr", numbered(1, 2, 3), wavelength=(443.0, 560.0, 665.0))


def write_evaluation(folder: Path) -> None:
    folder.mkdir()
    key = "current,leave-date-out,ridge,none,ensemble"
    scores = dict.fromkeys(run_folder._LAYOUTS["scores.csv"].numbers, "0.5")
    heads = ["task", "split", "model", "context", "seed"]
    (folder / "scores.csv").write_text(f"{','.join([*heads, *scores])}\n{key},{','.join(scores.values())}\n")
    columns = "task,split,model,context,seed,station,sample_time,overpass_time,fold,observed,predicted"
    row = "WE2,2024-07-01T14:30:00Z,2024-07-01T18:00:00Z,0,0.4,0.6,0.3,0,False"
    (folder / "predictions.csv").write_text(
        f"{columns},spread_log10,repeat,below_detection\n{key},{row}\n", encoding="utf-8"
    )
    record = {"format": "spectm-evaluation", "format_version": run_folder.FORMAT_VERSION, "labels": "glerl"}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


def write_manifest(folder: Path) -> None:
    folder.mkdir()
    name = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc"
    words = {"granule": name, "product": "l2-aop", "short_name": "PACE_OCI_L2_AOP", "version": "3.0"}
    words |= {"status": "final", "start": "2024-08-04T17:53:05+00:00", "url": f"https://example.org/{name}"}
    words |= {"sha256": "ab" * 32, "archive_checksum": "", "fetched": "2026-01-01T00:00:00+00:00"}
    made = manifest.Manifest(folder)
    made.record(manifest.Entry(**words, size_bytes=7, archive_checksum_compared=False, modified_ns=5))


def write_patches(folder: Path) -> None:
    folder.mkdir()
    make_file(folder / "patches.nc", np.linspace(0, 0.02, 54, dtype=np.float32).reshape(2, 3, 3, 3))


def write_store(folder: Path) -> None:
    make_store(folder, n_periods=1, shape=(2, 3))


def write_season(folder: Path) -> None:
    folder.mkdir()
    settings = SeasonConfig(years=(2024,), seed=7)
    (folder / season.RECORD).write_text(json.dumps(season._record(settings)), encoding="utf-8")


WRITERS: dict[str, Callable[[Path], None]] = {
    "spectm-checkpoint": write_model,
    "spectm-cube": write_cube,
    "spectm-evaluation": write_evaluation,
    "spectm-manifest": write_manifest,
    "spectm-patches": write_patches,
    "spectm-predictions": write_store,
    "spectm-simulation": write_season,
}


def kept(name: str, version: int) -> Path:
    """The packed file of a format."""
    return HERE / f"{name}-{version}.zip"


def pack(folder: Path, out: Path) -> None:
    """Everything in a folder, in one file that has the same bytes each time."""
    with zipfile.ZipFile(out, "w") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def main() -> None:
    """Write what is missing."""
    for name, version in VERSIONS.items():
        if not kept(name, version).exists():
            with TemporaryDirectory() as folder:
                WRITERS[name](Path(folder) / "files")
                pack(Path(folder) / "files", kept(name, version))


if __name__ == "__main__":
    main()
