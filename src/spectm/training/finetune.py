"""Regression on top of a pretrained encoder, assembled: labelled rows in, a censored distribution out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spectm.errors import TrainingError
from spectm.model.encoder import SpectralEncoder
from spectm.model.regressor import Regressor, censored_nll
from spectm.model.spectm import LossTerm, SpecTM
from spectm.training.checkpoint import read_checkpoint, train_in_folder
from spectm.training.loop import Batch
from spectm.training.pretrain import model_meta, model_parts
from spectm.training.pretraining_data import validation_rows
from spectm.training.ridge import GroupedRidge
from spectm.training.settings import Settings

__all__ = ["FittedRegressor", "RegressionData", "embedding", "finetune", "load_regressor"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class RegressionData:
    """Labelled rows.

    Parameters
    ----------
    Rrs : ndarray of float32, shape (row, n_bands, y, x)
        Raw reflectance, sr^-1.
    context : ndarray, shape (row, n_context)
        Features beside the spectrum; no columns without context.
    prior : ndarray or None, shape (row,)
        What is expected before the spectrum is seen, log10; None expects nothing.
    """

    Rrs: npt.NDArray[np.float32]
    context: FloatArray
    prior: FloatArray | None = None

    def tensors(self) -> Batch:
        """Tensors of the regressor's ``forward``."""
        prior = np.zeros(len(self.Rrs)) if self.prior is None else self.prior
        return {
            "Rrs": torch.from_numpy(np.ascontiguousarray(self.Rrs)),
            "context": torch.from_numpy(np.asarray(self.context)).float(),
            "prior": torch.from_numpy(np.asarray(prior)).float(),
        }


class FittedRegressor:
    """A trained regressor, applied to arrays."""

    def __init__(self, module: Regressor) -> None:
        self.module = module

    @torch.no_grad()
    def predict(self, data: RegressionData) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 of the quantity, each of shape (row,)."""
        self.module.eval()
        device = next(self.module.parameters()).device
        found = self.module(**{name: tensor.to(device) for name, tensor in data.tensors().items()})
        return found.mean.double().cpu().numpy(), found.spread.double().cpu().numpy()


@torch.no_grad()
def embedding(module: Regressor, Rrs: npt.NDArray[np.float32], *, hide_windows: bool) -> FloatArray:
    """Summary and tokens of each patch, with the windows visible or hidden; shape (row, n_features)."""
    module.eval()
    device = next(module.parameters()).device
    spectra = torch.from_numpy(np.ascontiguousarray(Rrs)).to(device)
    windows = torch.from_numpy(module.encoder.layout.targeted).to(device).expand(len(Rrs), -1)
    return module.embedding(spectra, windows if hide_windows else None).double().cpu().numpy()


class _Censored(nn.Module):
    """The regressor with its loss, in the form that the loop trains."""

    def __init__(self, regressor: Regressor) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(
        self, Rrs: Tensor, context: Tensor, prior: Tensor, observed: Tensor, below: Tensor
    ) -> dict[str, LossTerm]:
        loss = censored_nll(self.regressor(Rrs, context, prior), observed, below)
        return {"nll": LossTerm(loss.sum(), torch.tensor(loss.numel(), device=loss.device))}


class _Learner:
    """What the loop asks of fine-tuning."""

    def __init__(self, tensors: Batch, validation: npt.NDArray[np.bool_], encoder_rate: float) -> None:
        self.tensors, self.encoder_rate = tensors, encoder_rate
        self.rows = torch.from_numpy(np.flatnonzero(~validation))
        self.n_rows = self.rows.numel()
        self.held_back = torch.from_numpy(np.flatnonzero(validation))

    def batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        return {name: tensor[self.rows[rows]] for name, tensor in self.tensors.items()}

    def rate(self, parameter: str) -> float:
        return self.encoder_rate if ".encoder." in parameter else 1.0

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        return means["nll"]

    def validation(self, module: nn.Module) -> float:
        if self.held_back.numel() == 0:
            return float("nan")
        device = next(module.parameters()).device
        term = module(**{name: tensor[self.held_back].to(device) for name, tensor in self.tensors.items()})[
            "nll"
        ]
        return float(term.total / term.n)


def finetune(
    fabric: Fabric,
    pretrained: SpecTM | SpectralEncoder,
    data: RegressionData,
    observed: FloatArray,
    below: npt.NDArray[np.bool_],
    groups: npt.NDArray[Any],
    settings: Settings,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    provenance: Mapping[str, Any] | None = None,
    progress: str | None = None,
) -> FittedRegressor:
    """Train a regressor; `pretrained` itself is left as it was.

    Parameters
    ----------
    fabric : Fabric
        Device, precision, processes.
    pretrained : SpecTM or SpectralEncoder
        Where the encoder's weights come from.
    data : RegressionData
        Training rows.
    observed : ndarray, shape (row,)
        log10 of the quantity, or of its detection limit.
    below : ndarray of bool, shape (row,)
        Below detection.
    groups : ndarray, shape (row,)
        Sampling dates; validation for early stopping is split by them.
    settings : Settings
        ``settings.finetuning`` is used.
    seed : int
        Of the validation split and the batches.
    folder, resume, provenance, progress
        As in `spectm.training.pretrain.pretrain`.

    Raises
    ------
    TrainingError
        If there are no rows, or labels are not finite.
    """
    if len(observed) == 0 or not np.isfinite(observed).all():
        raise TrainingError(
            f"fine-tuning wants finite labels in log10; found {len(observed)} rows, "
            f"{int((~np.isfinite(observed)).sum())} of them not finite. Zero is no concentration: mark it "
            f"below detection"
        )
    config = settings.finetuning
    encoder = pretrained.encoder if isinstance(pretrained, SpecTM) else pretrained
    validation = validation_rows(groups, config.validation_share, seed)
    module = _copy(encoder, n_context=data.context.shape[1])
    _start_from_ridge(module, data, observed, groups, rows=np.flatnonzero(~validation))
    module.encoder.requires_grad_(config.encoder_rate > 0)
    # Copied, as a column of a table may be read-only, which torch warns of.
    observed, below = np.array(observed), np.array(below)
    labels = {"observed": torch.from_numpy(observed).float(), "below": torch.from_numpy(below)}
    learner = _Learner(data.tensors() | labels, validation, config.encoder_rate)
    meta = model_meta(settings, encoder.statistics) | {"n_context": data.context.shape[1], "seed": seed}
    meta["label_mean"] = float(np.mean(observed[~validation]))  # tells other labels on resuming
    meta["provenance"] = dict(provenance or {})

    train_in_folder(
        fabric,
        _Censored(module),
        learner,
        config.loop,
        seed=seed,
        kind="regressor",
        meta=meta,
        folder=folder,
        resume=resume,
        progress=progress,
        prefix="regressor.",
    )
    return FittedRegressor(module)


def _copy(encoder: SpectralEncoder, n_context: int) -> Regressor:
    """A regressor on a copy of the encoder."""
    with torch.random.fork_rng(devices=[]):  # the first weights do not matter: replaced below, or zero
        copy = SpectralEncoder(encoder.config, encoder.preprocess, encoder.layout, encoder.statistics)
        copy.load_state_dict(encoder.state_dict())
        return Regressor(copy, n_context)


def _start_from_ridge(
    module: Regressor, data: RegressionData, observed: FloatArray, groups: npt.NDArray[Any], rows: IntArray
) -> None:
    """Set the head to a ridge regression on the frozen embedding, fitted to what the prior leaves.

    A head that starts at random distorts good features before it is any use (Kumar et al. 2022, ICLR,
    "Fine-tuning can distort pretrained features").
    """
    embedded = embedding(module, data.Rrs[rows], hide_windows=False)
    left = observed[rows] - (0.0 if data.prior is None else data.prior[rows])
    columns = np.hstack([embedded, np.asarray(data.context)[rows]])
    fit = GroupedRidge().fit(columns, left, groups[rows])
    mean, scale, weight = (
        torch.from_numpy(values).float()
        for values in (fit.scaler_.mean_, fit.scaler_.scale_, fit.coefficients_)
    )
    spread = float(np.std(left - fit.predict(columns)))
    module.start_from(mean, scale, weight, bias=fit.intercept_, spread=spread)


def load_regressor(folder: Path) -> FittedRegressor:
    """The regressor of a folder that `finetune` wrote.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    checkpoint = read_checkpoint(folder, kind="regressor")
    settings, layout, statistics = model_parts(checkpoint)
    with torch.random.fork_rng(devices=[]):
        encoder = SpectralEncoder(settings.encoder, settings.preprocess, layout, statistics)
        module = Regressor(encoder, n_context=checkpoint.meta["n_context"])
    module.load_state_dict(checkpoint.weights)
    return FittedRegressor(module.eval())
