"""Trained models as folders, and those that ship with the package."""

from pathlib import Path

from spectm.data.context import Climatology
from spectm.data.memory import Memory, Record
from spectm.errors import CheckpointError
from spectm.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from spectm.training.forecaster import Forecaster
from spectm.training.packing import packed, unpacked
from spectm.trust.applicability import Applicability
from spectm.trust.calibration import Calibration

__all__ = ["KIND", "forecaster_of", "load", "model_folder", "released_names", "save_forecaster"]

KIND = "forecaster"


def save_forecaster(model: Forecaster, folder: Path) -> None:
    """Write or replace a folder that `load` reads."""
    weights, described = packed(model.models, model.blends, model.settings)
    meta = {
        **model.meta,
        **described,
        "climatology": model.record.climatology.to_dict(),
        "memory": model.record.memory.to_dict(),
        "last_record_year": model.record.last_year,
        "applicability": model.applicability.to_dict(),
        "calibration": {task: one.to_dict() for task, one in model.calibration.items()},
    }
    write_checkpoint(folder, kind=KIND, weights=weights, meta=meta)


def load(name: str | Path) -> Forecaster:
    """A released model by its name, or one of a folder.

    Raises
    ------
    CheckpointError
        If there is no such model, or it is damaged.
    """
    return forecaster_of(read_checkpoint(model_folder(name), kind=KIND))


def forecaster_of(checkpoint: Checkpoint) -> Forecaster:
    """The model that a checkpoint holds.

    Raises
    ------
    CheckpointError
        If it was written before models held their calibration.
    """
    meta = checkpoint.meta
    where = checkpoint.folder / "checkpoint.json"
    missing = [name for name in ("applicability", "calibration") if name not in meta]
    if missing:
        raise CheckpointError(
            f"{where}: wanted {' and '.join(missing)}, found a model of spectm {meta['spectm_version']}, "
            "made before models held them. Train it again with spectm finetune."
        )
    models, blends, settings = unpacked(checkpoint)
    record = Record(
        climatology=Climatology.from_dict(meta["climatology"]),
        memory=Memory(**meta["memory"]),
        last_year=meta["last_record_year"],
    )
    return Forecaster(
        models,
        blends,
        record,
        settings,
        meta,
        Applicability.from_dict(meta["applicability"]),
        {task: Calibration.from_dict(one) for task, one in meta["calibration"].items()},
    )


def model_folder(name: str | Path) -> Path:
    """The folder of a model: that of a released one by its name, or the one given.

    Raises
    ------
    CheckpointError
        If there is no such folder and no model of that name.
    """
    if Path(name).is_dir():
        return Path(name)
    if str(name) in released_names():
        return _released() / str(name)
    known = ", ".join(released_names()) or "(none)"
    raise CheckpointError(
        f"wanted a folder of a model or one of the released models {known}; found {str(name)!r}. Check the "
        "spelling."
    )


def released_names() -> tuple[str, ...]:
    """Names of the models that ship with the package."""
    if not _released().is_dir():
        return ()
    return tuple(
        sorted(entry.name for entry in _released().iterdir() if (entry / "checkpoint.json").is_file())
    )


def _released() -> Path:
    return Path(__file__).parents[1] / "released"
