"""Regression on top of a pretrained encoder, assembled: labelled rows in, a censored distribution out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
from spectm.training.checkpoint import read_checkpoint, resumed_state, write_checkpoint
from spectm.training.loop import Batch, TrainingState, train
from spectm.training.pretrain import model_meta, model_parts, validation_rows
from spectm.training.settings import Settings

__all__ = ["FittedRegressor", "RegressionData", "embedding", "finetune", "load_regressor"]

FloatArray = npt.NDArray[np.floating[Any]]


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
        What is expected before the spectrum is seen, log10; None takes the mean of the training labels.
    """

    Rrs: npt.NDArray[np.float32]
    context: FloatArray
    prior: FloatArray | None = None


class FittedRegressor:
    """A trained regressor with what it needs to be applied: context statistics and prior.

    Parameters
    ----------
    module : Regressor
        The network.
    context_mean, context_scale : ndarray, shape (n_context,)
        Statistics of the training rows.
    default_prior : float
        Mean of the training labels, log10; used where no prior is given.
    """

    def __init__(
        self, module: Regressor, context_mean: FloatArray, context_scale: FloatArray, default_prior: float
    ) -> None:
        self.module = module
        self.context_mean, self.context_scale, self.default_prior = context_mean, context_scale, default_prior

    def inputs(self, data: RegressionData) -> Batch:
        """Tensors of the network's ``forward``."""
        context = (np.asarray(data.context) - self.context_mean) / self.context_scale
        prior = np.full(len(data.Rrs), self.default_prior) if data.prior is None else data.prior
        return {
            "Rrs": torch.from_numpy(np.ascontiguousarray(data.Rrs)),
            "context": torch.from_numpy(context).float(),
            "prior": torch.from_numpy(np.asarray(prior)).float(),
        }

    @torch.no_grad()
    def predict(self, data: RegressionData) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 of the quantity, each of shape (row,)."""
        self.module.eval()
        device = next(self.module.parameters()).device
        found = self.module(**{name: tensor.to(device) for name, tensor in self.inputs(data).items()})
        return found.mean.double().cpu().numpy(), found.spread.double().cpu().numpy()


@torch.no_grad()
def embedding(module: Regressor, Rrs: npt.NDArray[np.float32], *, hide_windows: bool) -> FloatArray:
    """Summary and mean token of each patch, with the windows visible or hidden; shape (row, 2 * width)."""
    module.eval()
    hidden = torch.from_numpy(module.encoder.layout.targeted).expand(len(Rrs), -1) if hide_windows else None
    return module.embedding(torch.from_numpy(np.ascontiguousarray(Rrs)), hidden).double().numpy()


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

    def loss(self, module: nn.Module, means: dict[str, Tensor]) -> Tensor:
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
    fitted = _unfitted(encoder, data, observed, training=~validation)
    fitted.module.encoder.requires_grad_(config.encoder_rate > 0)
    labels = {
        "observed": torch.from_numpy(np.asarray(observed)).float(),
        "below": torch.from_numpy(np.asarray(below)),
    }
    learner = _Learner(fitted.inputs(data) | labels, validation, config.encoder_rate)
    meta = _meta(fitted, settings) | {"seed": seed, "provenance": dict(provenance or {})}

    def save(state: TrainingState) -> None:
        if folder is not None and fabric.is_global_zero:
            weights = {name.removeprefix("regressor."): tensor for name, tensor in (state.best or {}).items()}
            weights = weights or fitted.module.state_dict()
            write_checkpoint(
                folder, kind="regressor", weights=weights, meta=meta, training_state=asdict(state)
            )

    train(
        fabric,
        _Censored(fitted.module),
        learner,
        config.loop,
        torch.Generator().manual_seed(seed),
        state=resumed_state(folder, meta) if resume and folder else None,
        metrics=folder / "metrics.jsonl" if folder else None,
        checkpoint=save,
        progress=progress,
    )
    return fitted


def _unfitted(
    encoder: SpectralEncoder, data: RegressionData, observed: FloatArray, *, training: npt.NDArray[np.bool_]
) -> FittedRegressor:
    """A regressor on a copy of the encoder, with context statistics of the training rows."""
    copy = SpectralEncoder(encoder.config, encoder.preprocess, encoder.layout, encoder.statistics)
    copy.load_state_dict(encoder.state_dict())
    context = np.asarray(data.context)[training]
    scale = context.std(axis=0)
    module = Regressor(copy, n_context=context.shape[1])
    return FittedRegressor(
        module, context.mean(axis=0), np.where(scale > 0, scale, 1.0), float(np.mean(observed[training]))
    )


def _meta(fitted: FittedRegressor, settings: Settings) -> dict[str, Any]:
    context = {
        "mean": fitted.context_mean.tolist(),
        "scale": fitted.context_scale.tolist(),
        "default_prior": fitted.default_prior,
    }
    return model_meta(settings, fitted.module.encoder.statistics) | {"context": context}


def load_regressor(folder: Path) -> FittedRegressor:
    """The regressor of a folder that `finetune` wrote.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    checkpoint = read_checkpoint(folder, kind="regressor")
    settings, layout, statistics = model_parts(checkpoint)
    encoder = SpectralEncoder(settings.encoder, settings.preprocess, layout, statistics)
    context = checkpoint.meta["context"]
    module = Regressor(encoder, n_context=len(context["mean"]))
    module.load_state_dict(checkpoint.weights)
    module.eval()
    return FittedRegressor(
        module, np.array(context["mean"]), np.array(context["scale"]), context["default_prior"]
    )
