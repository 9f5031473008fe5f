"""Which bands are hidden from the encoder: targeted, random, block, mixed or none.

Bands are gathered into *tokens* whose borders follow the windows and their guards, so that under every
strategy a token is wholly hidden or wholly visible. Every strategy hides the same number of tokens, and of
bands within one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spectm.errors import MaskError
from spectm.spectral.windows import WindowSet, guard_bands

__all__ = [
    "MaskingConfig",
    "Strategy",
    "TokenLayout",
    "TokenMask",
    "draw_mask",
    "mask_summary",
    "token_layout",
]

Strategy = Literal["targeted", "random", "block", "mixed", "none"]

# Neighbours further apart than this never share a token, as in the short-wave infrared of the 122-band list.
# OCI's gap from 588 to 613 nm is narrower: 613 nm alone in a token could never be drawn at random, as no
# seven other tokens hold enough bands.
MAX_GAP_NM = 60.0
MAX_REDRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingConfig:
    """What pretraining hides.

    Parameters
    ----------
    strategy : {"targeted", "random", "block", "mixed", "none"}
        ``targeted`` hides the diagnostic windows, the same in every sample; ``random`` as many tokens drawn
        anew per sample; ``block`` one contiguous run of as many; ``mixed`` is targeted in half of the samples
        and random in the other half; ``none`` hides nothing.
    guard_nm : float
        Bands this close outside a window are hidden with it, and not scored.
    mask_share : float
        Share of the samples in which anything is hidden at all; 1 is the paper.
    bands_per_token : int
        At most this many bands make a token; 1 gives one token per band.
    """

    strategy: Strategy = "targeted"
    guard_nm: float = 0.0
    mask_share: float = 1.0
    bands_per_token: int = 6

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise MaskError(f"unknown masking strategy {self.strategy!r}; choose one of {get_args(Strategy)}")
        if self.guard_nm < 0 or not 0 <= self.mask_share <= 1 or self.bands_per_token < 1:
            raise MaskError(
                "masking wants guard_nm >= 0, mask_share between 0 and 1 and bands_per_token >= 1; found "
                f"guard_nm={self.guard_nm}, mask_share={self.mask_share}, "
                f"bands_per_token={self.bands_per_token}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class TokenLayout:
    """Which band belongs to which token, window and guard.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.
    token : ndarray of int, shape (n_bands,)
        Token of each band, 0, 0, 1, ...
    window : ndarray of int, shape (n_bands,)
        Window of each band, -1 outside.
    guard : ndarray of bool, shape (n_bands,)
        Bands hidden beside a window without being scored.
    """

    wavelength: npt.NDArray[np.float64]
    token: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]
    guard: npt.NDArray[np.bool_]

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return self.token.size

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return int(self.token[-1]) + 1

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Bands in each token, shape (n_tokens,)."""
        return np.bincount(self.token)

    @property
    def first_band(self) -> npt.NDArray[np.int64]:
        """First band of each token, shape (n_tokens,)."""
        return np.flatnonzero(np.diff(self.token, prepend=-1))

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Tokens inside a window, shape (n_tokens,)."""
        return (self.window >= 0)[self.first_band]

    @property
    def targeted(self) -> npt.NDArray[np.bool_]:
        """Tokens inside a window or its guard, shape (n_tokens,)."""
        return ((self.window >= 0) | self.guard)[self.first_band]

    @property
    def members(self) -> npt.NDArray[np.int64]:
        """Bands of each token, filled up with -1, shape (n_tokens, largest token)."""
        members = np.full((self.n_tokens, int(self.sizes.max())), -1)
        members[self.token, np.arange(self.n_bands) - self.first_band[self.token]] = np.arange(self.n_bands)
        return members


@dataclass(frozen=True, slots=True, eq=False)
class TokenMask:
    """One mask per sample: `hidden` tokens and the `scored` ones among them, both (sample, token)."""

    hidden: Tensor
    scored: Tensor


def token_layout(
    wavelength: npt.NDArray[np.float64], windows: WindowSet, *, guard_nm: float, bands_per_token: int
) -> TokenLayout:
    """Tokens of at most `bands_per_token` neighbouring bands, with borders at windows, guards and gaps.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, strictly increasing.
    windows : WindowSet
        The diagnostic windows.
    guard_nm : float
        Width of the guard on each side of a window, nm.
    bands_per_token : int
        Longer runs are cut into nearly equal pieces.

    Raises
    ------
    MaskError
        If the wavelengths are not strictly increasing.
    """
    wavelength = np.array(wavelength, dtype=np.float64)
    if wavelength.ndim != 1 or wavelength.size == 0 or (np.diff(wavelength) <= 0).any():
        raise MaskError(
            "tokens want band centres in nm, strictly increasing, each once; sort the bands by wavelength "
            f"(readers do) and drop repeated ones. Found {wavelength.size} values beginning "
            f"{wavelength.ravel()[:5].tolist()}"
        )
    window = windows.band_windows(wavelength)
    guard = guard_bands(windows, wavelength, guard_nm)
    label = np.stack([window, guard], axis=1)
    border = (label[1:] != label[:-1]).any(axis=1) | (np.diff(wavelength) > MAX_GAP_NM)
    runs = np.split(np.arange(wavelength.size), np.flatnonzero(border) + 1)
    pieces = [piece for run in runs for piece in np.array_split(run, -(-run.size // bands_per_token))]
    token = np.repeat(np.arange(len(pieces)), [piece.size for piece in pieces])
    return TokenLayout(wavelength, token, window.astype(np.int64), guard)


def draw_mask(
    layout: TokenLayout, config: MaskingConfig, n_samples: int, generator: torch.Generator
) -> TokenMask:
    """Tokens to hide in each of `n_samples` samples, drawn from `generator`.

    Returns
    -------
    TokenMask
        On the CPU. Samples outside `mask_share` hide nothing.

    Raises
    ------
    MaskError
        If the band list holds no band of any window, or no draw of as many tokens holds as many bands within
        one.
    """
    targeted = torch.from_numpy(layout.targeted).expand(n_samples, -1)
    scored = torch.from_numpy(layout.scored).expand(n_samples, -1)
    if config.strategy == "none":
        nothing = torch.zeros_like(targeted)
        return TokenMask(nothing, nothing)
    if not layout.scored.any():
        raise MaskError(
            f"no band between {layout.wavelength[0]:g} and {layout.wavelength[-1]:g} nm lies in a window, "
            f"so there is "
            "nothing to hide; choose another window set, raise half_width_nm, or use strategy 'none'"
        )
    if config.strategy == "targeted":
        mask = TokenMask(targeted, scored)
    else:
        draw = _random_blocks if config.strategy == "block" else _random_tokens
        drawn = draw(layout, n_samples, generator)
        mask = TokenMask(drawn, drawn)
    if config.strategy == "mixed":
        by_window = _random_share(n_samples, 0.5, generator)[:, None]
        mask = TokenMask(
            torch.where(by_window, targeted, mask.hidden), torch.where(by_window, scored, mask.scored)
        )
    if config.mask_share < 1:
        masked = _random_share(n_samples, config.mask_share, generator)[:, None]
        mask = TokenMask(mask.hidden & masked, mask.scored & masked)
    return mask


def mask_summary(layout: TokenLayout, config: MaskingConfig) -> str:
    """One line that counts what a mask hides, for people to read."""
    if config.strategy == "none":
        return f"masking none: 0 of {layout.n_tokens} tokens, 0 of {layout.n_bands} bands hidden"
    hidden = layout.targeted[layout.token]
    about = "" if config.strategy == "targeted" else ", within one band"
    guards = int(layout.guard.sum())
    return (
        f"masking {config.strategy}: {int(layout.targeted.sum())} of {layout.n_tokens} tokens, "
        f"{int(hidden.sum())} of "
        f"{layout.n_bands} bands hidden ({hidden.mean():.0%}{about}; {guards} of them guards) "
        f"in {config.mask_share:.0%} of the samples"
    )


def _random_share(n_samples: int, share: float, generator: torch.Generator) -> Tensor:
    """Exactly ``round(share * n_samples)`` samples, shape (n_samples,)."""
    return torch.randperm(n_samples, generator=generator) < round(share * n_samples)


def _random_tokens(layout: TokenLayout, n_samples: int, generator: torch.Generator) -> Tensor:
    """As many tokens as the windows hold, drawn anew per sample, with as many bands within one."""
    n_hidden = int(layout.targeted.sum())

    def draw(n_rows: int) -> Tensor:
        order = torch.rand(n_rows, layout.n_tokens, generator=generator).argsort(dim=1).argsort(dim=1)
        return order < n_hidden  # (sample, token), the same number in every row

    return _redrawn_until_equal(layout, n_samples, draw)


def _random_blocks(layout: TokenLayout, n_samples: int, generator: torch.Generator) -> Tensor:
    """One contiguous run of as many tokens as the windows hold, with as many bands within one."""
    n_hidden = int(layout.targeted.sum())

    def draw(n_rows: int) -> Tensor:
        start = torch.randint(layout.n_tokens - n_hidden + 1, (n_rows, 1), generator=generator)
        token = torch.arange(layout.n_tokens)
        return (token >= start) & (token < start + n_hidden)  # (sample, token)

    return _redrawn_until_equal(layout, n_samples, draw)


def _redrawn_until_equal(layout: TokenLayout, n_samples: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Rows whose number of bands is off by more than one are drawn again."""
    sizes = torch.from_numpy(layout.sizes)
    wanted = int(layout.sizes[layout.targeted].sum())
    hidden = draw(n_samples)
    for _ in range(MAX_REDRAWS):
        off = ((hidden * sizes).sum(dim=1) - wanted).abs() > 1
        if not off.any():
            return hidden
        hidden[off] = draw(int(off.sum()))
    raise MaskError(
        f"no draw of {int(layout.targeted.sum())} tokens holds {wanted} bands within one, because tokens of "
        f"{layout.sizes.min()} to {layout.sizes.max()} bands differ too much; use a smaller bands_per_token "
        f"(1 always works)"
    )
