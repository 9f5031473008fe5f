"""Self-supervised pretraining, assembled: patches in, a trained SpecTM out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spectm.config import from_mapping
from spectm.data.origin import SIMULATED
from spectm.data.patches import Patches
from spectm.errors import TrainingError
from spectm.model.encoder import BandStatistics, SpectralEncoder
from spectm.model.masking import TokenLayout, draw_mask, token_layout
from spectm.model.spectm import LossTerm, SpecTM
from spectm.training.checkpoint import UNITS, Checkpoint, read_checkpoint, train_in_folder
from spectm.training.loop import Batch, TrainingState
from spectm.training.pretraining_data import (
    PretrainingData,
    band_statistics,
    index_targets,
    pretraining_data,
    validation_rows,
)
from spectm.training.settings import Settings

__all__ = [
    "Pretraining",
    "layout_for",
    "load_pretrained",
    "model_meta",
    "model_parts",
    "pretrain",
    "seeded_model",
    "untrained",
]


@dataclass(frozen=True, slots=True, eq=False)
class Pretraining:
    """A trained model and how it got there."""

    model: SpecTM
    state: TrainingState
    index_names: tuple[str, ...]
    n_training: int
    n_validation: int


class _Learner:
    """What the loop asks of pretraining."""

    def __init__(
        self,
        data: PretrainingData,
        indices: Tensor,
        validation: npt.NDArray[np.bool_],
        model: SpecTM,
        settings: Settings,
        seed: int,
    ) -> None:
        self.data, self.indices, self.settings = data, indices, settings
        # A training patch may be followed by one of a validation date, which then is no target of it.
        unseen = ~validation & np.isin(data.ahead_day, data.day[validation])
        self.ahead = data.ahead.masked_fill(torch.from_numpy(unseen)[:, None], torch.nan)
        self.layout = model.encoder.layout
        self.rows = torch.from_numpy(np.flatnonzero(~validation))
        self.n_rows = self.rows.numel()
        self.validation_batch: Batch | None = None
        if validation.any():
            # The same masks at every look, so that losses can be compared.
            fixed = torch.Generator().manual_seed(seed)
            self.validation_batch = self._batch(torch.from_numpy(np.flatnonzero(validation)), fixed)

    def batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        return self._batch(self.rows[rows], generator)

    def _batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        mask = draw_mask(self.layout, self.settings.masking, rows.numel(), generator)
        data = self.data
        batch = {"Rrs": data.Rrs, "indices": self.indices, "ahead": self.ahead}
        batch |= {"day_of_year": data.day_of_year, "lead_days": data.lead_days}
        return {name: tensor[rows] for name, tensor in batch.items()} | {
            "hidden": mask.hidden,
            "scored": mask.scored,
        }

    def rate(self, parameter: str) -> float:
        return 1.0

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        assert isinstance(module, SpecTM)
        return module.joint_loss(means, counts)

    def validation(self, module: nn.Module) -> float:
        """Mean losses with the weights of the settings; learned weights would change the ruler."""
        if self.validation_batch is None:
            return float("nan")
        device = next(module.parameters()).device
        terms: dict[str, LossTerm] = module(**{k: v.to(device) for k, v in self.validation_batch.items()})
        weights = self.settings.objective.weights
        return sum(weights[name] * float(term.total / term.n.clamp(min=1)) for name, term in terms.items())


def pretrain(
    fabric: Fabric,
    sources: Sequence[Patches],
    settings: Settings,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    provenance: Mapping[str, Any] | None = None,
    progress: str | None = None,
    compiled: bool = False,
) -> Pretraining:
    """Train a SpecTM on unlabelled patches.

    Parameters
    ----------
    fabric : Fabric
        Device, precision, processes.
    sources : sequence of Patches
        Everything that may be learned from.
    settings : Settings
        Windows, masking, preprocessing, encoder, objective and loop.
    seed : int
        Of weights, batches, masks and the validation split.
    folder : Path, optional
        Checkpoint and ``metrics.jsonl`` go there.
    resume : bool
        Continue from the training state in `folder`.
    provenance : mapping, optional
        Kept in the checkpoint: files, dates, what was left out.
    progress : str, optional
        Label of the progress bar.
    compiled : bool
        Compile the model first.

    Raises
    ------
    TrainingError, CheckpointError, MaskError
        On unusable data, checkpoint or mask.
    """
    data = pretraining_data(sources)
    validation = validation_rows(data.day, settings.pretraining.validation_share, seed)
    layout = layout_for(settings, data.wavelength)
    training = torch.from_numpy(np.flatnonzero(~validation))
    statistics = band_statistics(data.Rrs, layout, settings.preprocess, rows=training)
    indices, names = index_targets(data.spectrum, data.wavelength, ~validation, settings.indices.chosen())
    if not names and "indices" in settings.objective.weights:
        raise TrainingError(
            f"no bio-optical index can be computed from {layout.n_bands} bands between "
            f"{layout.wavelength[0]:g} and {layout.wavelength[-1]:g} nm; switch the task off with "
            "objective.indices = 0"
        )
    model = seeded_model(settings, layout, statistics, len(names), seed)
    learner = _Learner(data, indices, validation, model, settings, seed)
    meta = model_meta(settings, statistics) | {"index_names": list(names), "seed": seed}
    meta["provenance"] = dict(provenance or {}) | {
        SIMULATED: any(source.simulated for source in sources),
        "n_training": learner.n_rows,
        "n_validation": int(validation.sum()),
    }

    state = train_in_folder(
        fabric,
        model,
        learner,
        settings.pretraining.loop,
        seed=seed,
        kind="pretrained",
        meta=meta,
        folder=folder,
        resume=resume,
        progress=progress,
        compiled=compiled,
    )
    return Pretraining(model, state, names, learner.n_rows, int(validation.sum()))


def layout_for(settings: Settings, wavelength: npt.NDArray[np.float64]) -> TokenLayout:
    """Tokens that the settings make of a band list."""
    return token_layout(
        wavelength,
        settings.windows.window_set(),
        guard_nm=settings.masking.guard_nm,
        bands_per_token=settings.masking.bands_per_token,
    )


def seeded_model(
    settings: Settings, layout: TokenLayout, statistics: BandStatistics, n_indices: int, seed: int
) -> SpecTM:
    """A model whose first weights follow from `seed` alone, leaving torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SpectralEncoder(settings.encoder, settings.preprocess, layout, statistics)
        return SpecTM(encoder, settings.objective, n_indices)


def model_meta(settings: Settings, statistics: BandStatistics) -> dict[str, Any]:
    """What a checkpoint records to build the same model again."""
    return {
        "wavelength_nm": statistics.wavelength.tolist(),
        "units": UNITS,
        "normalisation": {
            "centre": statistics.centre.tolist(),
            "scale": statistics.scale.tolist(),
            "log_brightness": list(statistics.log_brightness),
        },
        "settings": asdict(settings),
    }


def untrained(data: PretrainingData, settings: Settings, *, seed: int) -> SpecTM:
    """The model that `pretrain` would start from: random weights, normalisation of the data."""
    layout = layout_for(settings, data.wavelength)
    statistics = band_statistics(data.Rrs, layout, settings.preprocess)
    _, names = index_targets(
        data.spectrum, data.wavelength, np.ones(data.n_samples, dtype=bool), settings.indices.chosen()
    )
    return seeded_model(settings, layout, statistics, len(names), seed)


def load_pretrained(folder: Path) -> SpecTM:
    """The model of a folder that `pretrain` wrote.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    checkpoint = read_checkpoint(folder, kind="pretrained")
    settings, layout, statistics = model_parts(checkpoint)
    model = seeded_model(settings, layout, statistics, len(checkpoint.meta["index_names"]), seed=0)
    model.load_state_dict(checkpoint.weights)
    return model.eval()


def model_parts(checkpoint: Checkpoint) -> tuple[Settings, TokenLayout, BandStatistics]:
    """Settings, tokens and normalisation that a checkpoint records."""
    meta = checkpoint.meta
    settings = from_mapping(Settings, meta["settings"], where=str(checkpoint.folder / "checkpoint.json"))
    wavelength = np.array(meta["wavelength_nm"])
    known = meta["normalisation"]
    centre, scale = np.array(known["centre"]), np.array(known["scale"])
    statistics = BandStatistics(wavelength, centre, scale, tuple(known["log_brightness"]))
    return settings, layout_for(settings, wavelength), statistics
