"""Pretrained models and blends as weights and plain values of a checkpoint, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.config import from_mapping
from spectm.model.encoder import BandStatistics
from spectm.model.spectm import SpecTM
from spectm.training.blend import Blend, Member
from spectm.training.checkpoint import UNITS, Checkpoint
from spectm.training.pretrain import layout_for, seeded_model
from spectm.training.ridge import GroupedRidge, Standardiser
from spectm.training.settings import Settings

__all__ = ["packed", "unpacked"]

FloatArray = npt.NDArray[np.floating[Any]]
Weights = Mapping[str, torch.Tensor]

_ARRAYS = ("low_", "typical_", "high_")
_RIDGE_ARRAYS = ("mean_", "scale_")
_SECTIONS = tuple(one.name for one in fields(Settings))  # of models; those of a comparison are no part of one


def packed(
    models: Sequence[SpecTM], blends: Sequence[Blend], settings: Settings
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, and the part of a checkpoint's header that `unpacked` needs beside ``wavelength_nm``."""
    weights: dict[str, torch.Tensor] = {}
    for number, of_seed in enumerate(models):
        weights |= {f"model.{number}.{name}": value for name, value in of_seed.state_dict().items()}
    for number, blend in enumerate(blends):
        for place, member in enumerate(blend.members_):
            arrays = _arrays(member)
            weights |= {f"blend.{number}.{place}.{n}": torch.from_numpy(a) for n, a in arrays.items()}
    return weights, {
        "units": UNITS,
        "settings": {name: asdict(getattr(settings, name)) for name in _SECTIONS},
        "normalisation": [_plain(model.encoder.statistics) for model in models],
        "blends": [_described(blend) for blend in blends],
    }


def unpacked(checkpoint: Checkpoint) -> tuple[tuple[SpecTM, ...], tuple[Blend, ...], Settings]:
    """Models, blends and settings that `packed` took apart."""
    meta, weights = checkpoint.meta, checkpoint.weights
    where = checkpoint.folder / "checkpoint.json"
    settings = from_mapping(Settings, meta["settings"], where=str(where))
    models = tuple(
        _model(settings, np.array(meta["wavelength_nm"]), known, _under(weights, f"model.{number}."))
        for number, known in enumerate(meta["normalisation"])
    )
    blends = tuple(
        _blend(described, _under(weights, f"blend.{number}."))
        for number, described in enumerate(meta["blends"])
    )
    return models, blends, settings


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
