"""SpecTM: the encoder, three self-supervised heads and their joint loss.

Hidden bands are reconstructed, bio-optical indices inferred, and the spectrum some days ahead predicted, all
from the bands left visible (Imtiaz, Nasr Azadani and Alamdari 2026, arXiv 2603.22097; what the paper leaves
open is decided in ``docs/method.md``).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spectm.errors import ConfigError
from spectm.model.encoder import Encoded, SpectralEncoder, WavelengthFeatures
from spectm.model.preprocess import pixel_mean

__all__ = ["LossTerm", "ObjectiveConfig", "SpecTM"]

DAYS_PER_YEAR = 365.25
LEAD_UNIT_DAYS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Which tasks train the encoder, and how they are weighed.

    Parameters
    ----------
    reconstruction, indices, temporal : float
        Weight of each task; 0 switches it off, and its head is not built.
    learned_weights : bool
        Scale each task by a learned variance instead (Kendall, Gal and Cipolla 2018, CVPR), starting at these
        weights.
    """

    reconstruction: float = 1.0
    indices: float = 1.0
    temporal: float = 1.0
    learned_weights: bool = True

    def __post_init__(self) -> None:
        if min(self.reconstruction, self.indices, self.temporal) < 0 or not self.weights:
            raise ConfigError(
                "pretraining wants task weights of 0 or more, one of them above 0; found reconstruction="
                f"{self.reconstruction}, indices={self.indices}, temporal={self.temporal}"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The tasks that are switched on, with their weights."""
        tasks = {"reconstruction": self.reconstruction, "indices": self.indices, "temporal": self.temporal}
        return {name: weight for name, weight in tasks.items() if weight > 0}


class LossTerm(NamedTuple):
    """Sum of losses over what was scored, and how many there were: means of shards can't be averaged."""

    total: Tensor
    n: Tensor


class SpecTM(nn.Module):
    """Encoder, heads and joint loss.

    Parameters
    ----------
    encoder : SpectralEncoder
        Shared by all tasks.
    objective : ObjectiveConfig
        Tasks and weights.
    n_indices : int
        Number of bio-optical indices to infer.
    """

    def __init__(self, encoder: SpectralEncoder, objective: ObjectiveConfig, n_indices: int) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective
        width = encoder.config.width
        tasks = objective.weights
        if "reconstruction" in tasks:
            self.reconstruct = SpectrumHead(width, width)
        if "indices" in tasks:
            self.infer_indices = _mlp(width, width, n_indices)
        if "temporal" in tasks:
            self.predict_ahead = SpectrumHead(
                width + 3, width
            )  # + sine and cosine of the day of year, lead time
        if objective.learned_weights:
            self.log_variance = nn.Parameter(-torch.tensor(list(tasks.values())).log())

    def forward(
        self,
        Rrs: Tensor,
        hidden: Tensor,
        scored: Tensor,
        indices: Tensor,
        ahead: Tensor,
        day_of_year: Tensor,
        lead_days: Tensor,
    ) -> dict[str, LossTerm]:
        """Loss terms of the tasks that are switched on.

        Parameters
        ----------
        Rrs : Tensor, shape (sample, n_bands, y, x)
            Raw reflectance, sr^-1; NaN is missing and never a target.
        hidden, scored : Tensor of bool, shape (sample, token)
            From `masking.draw_mask`.
        indices : Tensor, shape (sample, n_indices)
            Standardised indices of the unmasked spectrum; NaN is left out.
        ahead : Tensor, shape (sample, n_bands)
            Mean spectrum of the same place `lead_days` later, sr^-1; NaN where unknown.
        day_of_year, lead_days : Tensor, shape (sample,)
            Time of the patch, and days to `ahead`.
        """
        encoded = self.encoder(Rrs, hidden)
        terms = {}
        if "reconstruction" in self.objective.weights:
            target, there = pixel_mean(Rrs)
            target = self.encoder.standardise(target, encoded.brightness)
            wanted = scored[:, self.encoder.get_buffer("token")] & there  # (sample, band)
            terms["reconstruction"] = _huber(self.reconstruction(encoded), target, wanted)
        if "indices" in self.objective.weights:
            terms["indices"] = _huber(self.infer_indices(encoded.summary), indices, indices.isfinite())
        if "temporal" in self.objective.weights:
            there = ahead.isfinite()
            target = torch.where(there, ahead, 0.0)
            target = self.encoder.standardise(target, self.encoder.divisor(target, there))
            terms["temporal"] = _huber(self.ahead(encoded, day_of_year, lead_days), target, there)
        return terms

    def joint_loss(self, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the mean loss of each task.

        Parameters
        ----------
        means : dict of Tensor
            Mean loss of each task, a scalar, 0 where nothing was scored.
        counts : dict of Tensor
            How many values each mean is of. A learned weight rests while its task has no target: it would
            otherwise grow without end, as nothing speaks against it.
        """
        stacked = torch.stack([means[name] for name in self.objective.weights])
        if not self.objective.learned_weights:
            return (stacked * stacked.new_tensor(list(self.objective.weights.values()))).sum()
        scored = torch.stack([counts[name] for name in self.objective.weights]) > 0
        weighed = stacked * (-self.log_variance).exp() + self.log_variance
        return torch.where(scored, weighed, 0.0).sum()

    def reconstruction(self, encoded: Encoded) -> Tensor:
        """Standardised reflectance of every band from its token, shape (sample, n_bands)."""
        return self.reconstruct(
            encoded.tokens, self.encoder.get_buffer("token"), self.encoder.get_buffer("wavelength")
        )

    def ahead(self, encoded: Encoded, day_of_year: Tensor, lead_days: Tensor) -> Tensor:
        """Standardised mean spectrum `lead_days` later, shape (sample, n_bands)."""
        angle = 2 * torch.pi * day_of_year / DAYS_PER_YEAR
        when = torch.stack([angle.sin(), angle.cos(), lead_days / LEAD_UNIT_DAYS - 1], dim=1)
        state = torch.cat([encoded.summary, when.to(encoded.summary.dtype)], dim=1)[:, None]
        wavelength = self.encoder.get_buffer("wavelength")
        return self.predict_ahead(state, torch.zeros_like(wavelength, dtype=torch.int64), wavelength)

    @torch.no_grad()
    def fill_in(self, Rrs: Tensor, hidden: Tensor) -> Tensor:
        """Mean spectrum with its hidden bands inferred, sr^-1, shape (sample, n_bands).

        Visible bands come back as they are; NaN stays NaN there.
        """
        encoded = self.encoder(Rrs, hidden)
        mean, there = pixel_mean(Rrs)
        inferred = self.encoder.unstandardise(self.reconstruction(encoded), encoded.brightness)
        given = torch.where(there, mean, torch.nan)
        return torch.where(hidden[:, self.encoder.get_buffer("token")], inferred, given)


class SpectrumHead(nn.Module):
    """State vectors and wavelengths in, one number per band out: any band list will do."""

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        self.state = _mlp(n_inputs, width, width)
        self.direction = WavelengthFeatures(width)
        self.offset = WavelengthFeatures(1)

    def forward(self, states: Tensor, state_of_band: Tensor, wavelength: Tensor) -> Tensor:
        """States (sample, state, n_inputs), the state that each band is read from, and its wavelength, nm.

        Returns
        -------
        Tensor, shape (sample, band)
        """
        state = self.state(states)[:, state_of_band]  # (sample, band, width)
        return (state * self.direction(wavelength)).sum(dim=-1) + self.offset(wavelength)[:, 0]


def _mlp(n_inputs: int, width: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, width), nn.GELU(), nn.Linear(width, n_outputs))


def _huber(predicted: Tensor, target: Tensor, wanted: Tensor) -> LossTerm:
    """Huber loss summed over what is wanted; what is missing is left out, not multiplied by zero."""
    loss = nn.functional.smooth_l1_loss(predicted, torch.where(wanted, target, 0.0), reduction="none")
    return LossTerm(torch.where(wanted, loss, 0.0).sum(), wanted.sum())
