"""Encoder to a censored distribution of a positive quantity, in log10."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spectm.model.encoder import SpectralEncoder

__all__ = ["Distribution", "Regressor", "censored_nll"]

# Laboratory and pixel-to-sample scatter alone exceed a tenth of a decade; a smaller spread is overfitting.
MIN_SPREAD = 0.1


class Distribution(NamedTuple):
    """Normal in log10 of the quantity: `mean` and standard deviation `spread`, both of shape (sample,)."""

    mean: Tensor
    spread: Tensor


class Regressor(nn.Module):
    """The encoder's summary and optional context to a normal distribution of log10 of a quantity.

    Parameters
    ----------
    encoder : SpectralEncoder
        Pretrained or fresh; trained along unless its gradients are switched off.
    n_context : int
        Number of context features beside the spectrum; they enter linearly.

    Notes
    -----
    The mean is a prior (the climatology where context allows one, else the training mean) plus a linear
    function of the encoder's summary, the mean of its tokens and the context. The last layer starts at zero,
    so training starts at the prior.
    """

    def __init__(self, encoder: SpectralEncoder, n_context: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(2 * encoder.config.width)
        self.head = nn.Linear(2 * encoder.config.width + n_context, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.raw_spread = nn.Parameter(torch.tensor(0.0))

    def embedding(self, Rrs: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Summary and mean token of each patch, shape (sample, 2 * width); nothing is hidden by default."""
        if hidden is None:
            hidden = Rrs.new_zeros(Rrs.shape[0], self.encoder.layout.n_tokens, dtype=torch.bool)
        encoded = self.encoder(Rrs, hidden)
        return torch.cat([encoded.summary, encoded.tokens.mean(dim=1)], dim=1)

    def forward(self, Rrs: Tensor, context: Tensor, prior: Tensor) -> Distribution:
        """Distribution of log10 of the quantity.

        Parameters
        ----------
        Rrs : Tensor, shape (sample, n_bands, y, x)
            Raw reflectance, sr^-1.
        context : Tensor, shape (sample, n_context)
            Standardised features; no columns without context.
        prior : Tensor, shape (sample,)
            What is expected before the spectrum is seen, log10.
        """
        features = torch.cat([self.norm(self.embedding(Rrs)), context], dim=1)
        spread = MIN_SPREAD + nn.functional.softplus(self.raw_spread)
        return Distribution(prior + self.head(features)[:, 0], spread.expand(Rrs.shape[0]))


def censored_nll(distribution: Distribution, observed: Tensor, below: Tensor) -> Tensor:
    """Negative log likelihood in which a value below detection contributes its probability, not a number.

    Parameters
    ----------
    distribution : Distribution
        Normal in log10.
    observed : Tensor, shape (sample,)
        log10 of the value, or of the detection limit where `below`.
    below : Tensor of bool, shape (sample,)
        True where the laboratory only knows that the value lies under the limit.

    Returns
    -------
    Tensor, shape (sample,)
        ``-log N(observed)`` where detected, ``-log P(value < limit)`` where not.
    """
    score = (observed - distribution.mean) / distribution.spread
    detected = 0.5 * score.square() + distribution.spread.log() + 0.5 * math.log(2 * math.pi)
    return torch.where(below, -torch.special.log_ndtr(score), detected)
