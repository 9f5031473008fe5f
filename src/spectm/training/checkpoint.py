"""One trained model as one folder: weights, settings, band list, normalisation and where it comes from.

``checkpoint.json`` names the other files by their content and is replaced last and at once, so a folder
always holds either the old model or the new one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

import spectm
from spectm.errors import CheckpointError
from spectm.files import replacing
from spectm.training.loop import Learner, LoopConfig, TrainingState, train

__all__ = [
    "FORMAT_VERSION",
    "UNITS",
    "Checkpoint",
    "check_bands",
    "read_checkpoint",
    "read_training_state",
    "train_in_folder",
    "write_checkpoint",
]

FORMAT = "spectm-checkpoint"
FORMAT_VERSION = 1
UNITS = "sr-1"
# Two band lists that differ by less are the same: centres are published rounded to 1 nm.
TOLERANCE_NM = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What was read from a folder.

    Parameters
    ----------
    folder : Path
        Where it was.
    kind : str
        ``"pretrained"`` or ``"regressor"``.
    weights : dict of Tensor
        The module's state.
    meta : dict
        ``wavelength_nm``, ``units``, ``normalisation``, ``settings``, ``provenance`` and what `kind` adds.
    """

    folder: Path
    kind: str
    weights: dict[str, Tensor]
    meta: dict[str, Any]


def write_checkpoint(
    folder: Path,
    *,
    kind: str,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    training_state: Mapping[str, Any] | None = None,
) -> None:
    """Write or replace a checkpoint folder, so that a broken run leaves the old one whole.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    kind : {"pretrained", "regressor"}
        What the weights are of.
    weights : mapping of Tensor
        Saved as safetensors.
    meta : mapping
        Plain JSON values, see `Checkpoint`.
    training_state : mapping, optional
        What ``--resume`` needs; tensors and plain values only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "weights": _put(
            folder, "weights", ".safetensors", save({k: v.contiguous() for k, v in weights.items()})
        )
    }
    if training_state is not None:
        buffer = BytesIO()
        torch.save(dict(training_state), buffer)
        files["training_state"] = _put(folder, "training-state", ".pt", buffer.getvalue())
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "files": files,
        "spectm_version": spectm.__version__,
        "torch_version": torch.__version__,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        **meta,
    }
    text = json.dumps(header, indent=1, allow_nan=False) + "\n"
    with replacing(folder / "checkpoint.json") as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    for stale in [*folder.glob("weights-*.safetensors"), *folder.glob("training-state-*.pt")]:
        if stale.name not in files.values():
            stale.unlink()


def read_checkpoint(folder: Path, *, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint folder.

    Raises
    ------
    CheckpointError
        If the folder holds no checkpoint, one of another kind or a newer format, or a damaged file.
    """
    header = _header(folder)
    if kind is not None and header["kind"] != kind:
        raise CheckpointError(
            f"{folder} holds a {header['kind']!r} checkpoint, wanted {kind!r}: 'spectm pretrain' writes "
            f"pretrained "
            "ones, 'spectm finetune' regressors"
        )
    try:
        weights = load(_get(folder, header["files"]["weights"]))
    except SafetensorError as error:
        raise CheckpointError(
            f"{folder}: the weights are no safetensors file ({error}); train again"
        ) from error
    return Checkpoint(folder, header["kind"], weights, header)


def read_training_state(folder: Path) -> dict[str, Any]:
    """What `write_checkpoint` was given as `training_state`.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    files = _header(folder)["files"]
    if "training_state" not in files:
        raise CheckpointError(f"{folder} holds no training state, so it can't be resumed; train it anew")
    data = BytesIO(_get(folder, files["training_state"]))
    state: dict[str, Any] = torch.load(data, weights_only=True, map_location="cpu")
    return state


def train_in_folder(
    fabric: Fabric,
    module: nn.Module,
    learner: Learner,
    config: LoopConfig,
    *,
    seed: int,
    kind: str,
    meta: Mapping[str, Any],
    folder: Path | None,
    resume: bool,
    progress: str | None,
    prefix: str = "",
    compiled: bool = False,
) -> TrainingState:
    """Train with checkpoints and ``metrics.jsonl`` in a folder; without a folder nothing is written.

    Parameters
    ----------
    fabric, module, learner, config, progress, compiled
        As `spectm.training.loop.train` takes them.
    seed : int
        Of the generator of batches and masks.
    kind, meta
        As `write_checkpoint` takes them.
    folder : Path or None
        Made where missing.
    resume : bool
        Continue from the training state in `folder`.
    prefix : str
        What the names of the weights begin with in `module`, and not in the checkpoint.

    Raises
    ------
    CheckpointError
        If there is nothing to resume, or it is another run.
    """

    def save(state: TrainingState) -> None:
        if folder is not None and fabric.is_global_zero:
            weights = state.best or module.state_dict()
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
            write_checkpoint(folder, kind=kind, weights=weights, meta=meta, training_state=asdict(state))

    return train(
        fabric,
        module,
        learner,
        config,
        torch.Generator().manual_seed(seed),
        state=resumed_state(folder, meta, kind=kind) if resume and folder else None,
        metrics=folder / "metrics.jsonl" if folder else None,
        checkpoint=save,
        progress=progress,
        compiled=compiled,
    )


def resumed_state(folder: Path, meta: Mapping[str, Any], *, kind: str) -> TrainingState:
    """State to continue from, provided that all of `meta` but its provenance is that of the broken run.

    Raises
    ------
    CheckpointError
        If there is nothing to resume, or the run would not be the same one.
    """
    found = read_checkpoint(folder, kind=kind).meta
    for key in ("settings", "seed", *meta):  # what was chosen comes before what follows from it
        if key != "provenance" and found.get(key) != json.loads(json.dumps(meta[key])):
            raise CheckpointError(
                f"{folder} can't be resumed: its {key} differ from those given now, and the result would be "
                f"neither run. "
                "Give the same data and settings (settings.toml beside the checkpoint), or write to another "
                "folder"
            )
    return TrainingState(**read_training_state(folder))


def check_bands(
    meta: Mapping[str, Any],
    wavelength: npt.NDArray[np.floating[Any]],
    *,
    where: str | Path,
    units: str = UNITS,
) -> None:
    """Refuse spectra that a model was not trained on.

    Parameters
    ----------
    meta : mapping
        ``wavelength_nm`` and ``units`` of the model.
    wavelength : ndarray, shape (n_bands,)
        Of the spectra, nm.
    where : str or Path
        Whose spectra: for the message.
    units : str
        Of the spectra.

    Raises
    ------
    CheckpointError
        If the wavelengths or the units differ, with the first difference and what to do.
    """
    if units != meta["units"]:
        raise CheckpointError(
            f"the model was trained on reflectance in {meta['units']}, found {units} in {where}; convert it "
            "first (surface reflectance = pi * Rrs)"
        )
    known = np.array(meta["wavelength_nm"])
    found = np.asarray(wavelength, dtype=np.float64)
    if known.size == found.size and np.abs(known - found).max() <= TOLERANCE_NM:
        return
    detail = (
        f"{known.size} bands from {known[0]:g} to {known[-1]:g} nm wanted, "
        f"{found.size} bands from {found[0]:g} to {found[-1]:g} nm found in {where}"
    )
    if known.size == found.size:
        band = int(np.abs(known - found).argmax())
        detail += f"; band {band} is {found[band]:g} nm instead of {known[band]:g} nm"
    raise CheckpointError(
        f"the model was trained on other bands: {detail}. Ask for resampling (--resample), which "
        "interpolates the spectra to the model's bands and records it, or train on these bands"
    )


def _header(folder: Path) -> dict[str, Any]:
    path = folder / "checkpoint.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no checkpoint.json; is this a folder that spectm pretrain or finetune wrote?"
        )
    try:
        header: Any = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of spectm: it does not say format = {FORMAT!r}")
    for key in ("format_version", "kind", "files"):
        if key not in header:
            raise CheckpointError(f"{path} is damaged: it has no {key!r}; copy it again or train again")
    if not isinstance(header["format_version"], int) or header["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {header['format_version']}, this spectm {spectm.__version__} reads "
            f"up to {FORMAT_VERSION}. Use a newer spectm."
        )
    return header


def _put(folder: Path, stem: str, suffix: str, data: bytes) -> str:
    """Write under a name made from the content; that name."""
    name = f"{stem}-{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
    with replacing(folder / name) as unfinished:
        unfinished.write_bytes(data)
    return name


def _get(folder: Path, name: str) -> bytes:
    """Read a file that `_put` wrote and check that it is whole."""
    path = folder / name
    if not path.is_file():
        raise CheckpointError(
            f"{folder}: checkpoint.json names {name}, which is missing; copy the whole folder"
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest()[:16] not in name:
        raise CheckpointError(
            f"{path} is damaged: its content does not match its name; copy it again or train again"
        )
    return data
