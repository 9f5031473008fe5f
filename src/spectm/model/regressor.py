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
    """The encoder's tokens and optional context to a normal distribution of log10 of a quantity.

    Parameters
    ----------
    encoder : SpectralEncoder
        Pretrained or fresh; trained along unless its gradients are switched off.
    n_context : int
        Number of context features beside the spectrum.

    Notes
    -----
    The mean is a prior plus a linear function of the summary, of every token and of the context. Tokens are
    not averaged: a pigment sits in a few of them. So a regressor belongs to the band list that it was trained
    on, while its encoder reads any. `start_from` sets the linear function; until then the mean is the prior.
    """

    def __init__(self, encoder: SpectralEncoder, n_context: int = 0) -> None:
        super().__init__()
        n_features = encoder.config.width * (1 + encoder.layout.n_tokens) + n_context
        self.encoder = encoder
        self.head = nn.Linear(n_features, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.raw_spread = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("feature_mean", torch.zeros(n_features))
        self.register_buffer("feature_scale", torch.ones(n_features))

    def start_from(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: float, spread: float) -> None:
        """Take over a linear fit of standardised features, as fine-tuning's first step.

        Parameters
        ----------
        mean, scale, weight : Tensor, shape (n_features,)
            Of the features, embedding first; the weights of the standardised ones.
        bias, spread : float
            Intercept and residual standard deviation, log10.
        """
        with torch.no_grad():
            self.get_buffer("feature_mean").copy_(mean)
            self.get_buffer("feature_scale").copy_(scale)
            self.head.weight.copy_(weight[None])
            self.head.bias.fill_(bias)
            excess = max(spread - MIN_SPREAD, 0.01)
            self.raw_spread.fill_(math.log(math.expm1(excess)))  # inverse of softplus

    def embedding(self, Rrs: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Summary and tokens of each patch, (sample, width * (1 + n_tokens)); nothing hidden by default."""
        if hidden is None:
            hidden = Rrs.new_zeros(Rrs.shape[0], self.encoder.layout.n_tokens, dtype=torch.bool)
        encoded = self.encoder(Rrs, hidden)
        return torch.cat([encoded.summary, encoded.tokens.flatten(1)], dim=1)

    def forward(self, Rrs: Tensor, context: Tensor, prior: Tensor) -> Distribution:
        """Distribution of log10 of the quantity.

        Parameters
        ----------
        Rrs : Tensor, shape (sample, n_bands, y, x)
            Raw reflectance, sr^-1.
        context : Tensor, shape (sample, n_context)
            Features beside the spectrum, as they come; no columns without context.
        prior : Tensor, shape (sample,)
            What is expected before the spectrum is seen, log10; zero where nothing is.
        """
        features = torch.cat([self.embedding(Rrs), context], dim=1)
        features = (features - self.get_buffer("feature_mean")) / self.get_buffer("feature_scale")
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
