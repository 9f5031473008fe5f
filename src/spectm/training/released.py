"""Trained models as folders, and those that ship with the package."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.config import from_mapping
from spectm.data.context import Climatology
from spectm.data.memory import Memory, Record
from spectm.errors import CheckpointError
from spectm.model.encoder import BandStatistics
from spectm.model.spectm import SpecTM
from spectm.training.blend import Blend, Member
from spectm.training.checkpoint import UNITS, Checkpoint, read_checkpoint, write_checkpoint
from spectm.training.forecaster import Forecaster
from spectm.training.pretrain import layout_for, seeded_model
from spectm.training.ridge import GroupedRidge, Standardiser
from spectm.training.settings import Settings
from spectm.trust.applicability import Applicability
from spectm.trust.calibration import Calibration

__all__ = ["KIND", "forecaster_of", "load", "model_folder", "released_names", "save_forecaster"]

FloatArray = npt.NDArray[np.floating[Any]]
Weights = Mapping[str, torch.Tensor]

KIND = "forecaster"
_ARRAYS = ("low_", "typical_", "high_")
_RIDGE_ARRAYS = ("mean_", "scale_")
_SECTIONS = tuple(one.name for one in fields(Settings))  # of models; those of a comparison are no part of one


def save_forecaster(model: Forecaster, folder: Path) -> None:
    """Write or replace a folder that `load` reads."""
    weights: dict[str, torch.Tensor] = {}
    for number, of_seed in enumerate(model.models):
        weights |= {f"model.{number}.{name}": value for name, value in of_seed.state_dict().items()}
    for number, blend in enumerate(model.blends):
        for place, member in enumerate(blend.members_):
            arrays = _arrays(member)
            weights |= {f"blend.{number}.{place}.{n}": torch.from_numpy(a) for n, a in arrays.items()}
    meta = {
        **model.meta,
        "units": UNITS,
        "settings": {name: asdict(getattr(model.settings, name)) for name in _SECTIONS},
        "normalisation": [_plain(encoder.statistics) for encoder in model.encoders],
        "blends": [_described(blend) for blend in model.blends],
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
    meta, weights = checkpoint.meta, checkpoint.weights
    where = checkpoint.folder / "checkpoint.json"
    missing = [name for name in ("applicability", "calibration") if name not in meta]
    if missing:
        raise CheckpointError(
            f"{where}: wanted {' and '.join(missing)}, found a model of spectm {meta['spectm_version']}, "
            "made before models held them. Train it again with spectm finetune."
        )
    settings = from_mapping(Settings, meta["settings"], where=str(where))
    models = [
        _model(settings, np.array(meta["wavelength_nm"]), known, _under(weights, f"model.{number}."))
        for number, known in enumerate(meta["normalisation"])
    ]
    blends = [
        _blend(described, _under(weights, f"blend.{number}."))
        for number, described in enumerate(meta["blends"])
    ]
    record = Record(
        climatology=Climatology.from_dict(meta["climatology"]),
        memory=Memory(**meta["memory"]),
        last_year=meta["last_record_year"],
    )
    return Forecaster(
        tuple(models),
        tuple(blends),
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


def _plain(statistics: BandStatistics) -> dict[str, Any]:
    return {
        "centre": statistics.centre.tolist(),
        "scale": statistics.scale.tolist(),
        "log_brightness": list(statistics.log_brightness),
    }


def _model(
    settings: Settings, wavelength: npt.NDArray[np.float64], known: Mapping[str, Any], weights: Weights
) -> SpecTM:
    """One pretrained model; how many indices it infers follows from its weights."""
    statistics = BandStatistics(
        wavelength, np.array(known["centre"]), np.array(known["scale"]), tuple(known["log_brightness"])
    )
    last = weights.get("infer_indices.2.bias")
    layout = layout_for(settings, wavelength)
    model = seeded_model(settings, layout, statistics, 0 if last is None else last.numel(), seed=0)
    model.load_state_dict(dict(weights))
    return model.eval()


def _described(blend: Blend) -> dict[str, Any]:
    return {
        "views": list(blend.views),
        "seasonal": blend.seasonal,
        "limit": blend.limit,
        "spread": blend.spread_,
        "members": [
            {
                "view": member.view,
                "departs": member.departs,
                "intercept": member.ridge_.intercept_,
                "penalty": member.ridge_.penalty_ if np.isfinite(member.ridge_.penalty_) else None,
            }
            for member in blend.members_
        ],
    }


def _arrays(member: Member) -> dict[str, FloatArray]:
    arrays = {name: getattr(member, name) for name in _ARRAYS}
    arrays |= {name: getattr(member.ridge_.scaler_, name) for name in _RIDGE_ARRAYS}
    return arrays | {"coefficients_": member.ridge_.coefficients_}


def _under(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _blend(described: Mapping[str, Any], weights: Weights) -> Blend:
    """The blend that `_described` and `_arrays` took apart."""
    blend = Blend(tuple(described["views"]), seasonal=described["seasonal"], limit=described["limit"])
    blend.spread_, blend.members_ = described["spread"], []
    for place, known in enumerate(described["members"]):
        arrays = {name: value.numpy() for name, value in _under(weights, f"{place}.").items()}
        member = Member(known["view"], known["departs"])
        member.low_, member.typical_, member.high_ = (arrays[name] for name in _ARRAYS)
        scaler = Standardiser()
        scaler.mean_, scaler.scale_ = (arrays[name] for name in _RIDGE_ARRAYS)
        ridge = GroupedRidge()
        ridge.scaler_, ridge.coefficients_ = scaler, arrays["coefficients_"]
        ridge.intercept_ = known["intercept"]
        ridge.penalty_ = np.inf if known["penalty"] is None else known["penalty"]
        member.ridge_ = ridge
        blend.members_.append(member)
    return blend
