import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectm.errors import MaskError, SensorError, SpectmError
from spectm.model.masking import (
    MaskingConfig,
    Strategy,
    TokenLayout,
    TokenMask,
    draw_mask,
    mask_summary,
    token_layout,
)
from spectm.spectral.sensors import named_sensor
from spectm.spectral.windows import named_windows

WINDOWS_NM = [(615, 640), (660, 680), (695, 720)]
STRATEGIES: list[Strategy] = ["targeted", "random", "block", "mixed"]


def oci_layout(sensor: str, *, guard_nm: float = 0.0, bands_per_token: int = 6, half_width_nm: float = 0.0):
    windows = named_windows("cyanobacteria", half_width_nm=half_width_nm)
    wavelength = named_sensor(sensor).wavelength
    return token_layout(wavelength, windows, guard_nm=guard_nm, bands_per_token=bands_per_token)


def drawn(layout: TokenLayout, n_samples: int = 64, seed: int = 0, **config: object) -> TokenMask:
    generator = torch.Generator().manual_seed(seed)
    return draw_mask(layout, MaskingConfig(**config), n_samples, generator)  # type: ignore[arg-type]


# Runs of window bands: 6, 9, 9 on SFREFL and 11, 17, 18 on AOP (tests/spectral/test_windows.py); each is cut
# into ceil(run / bands_per_token) tokens. A 5 nm guard adds runs of 2, 2, 1, 1 and of 1, 4, 4, 4, 4 bands.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sensor", "guard_nm", "bands_per_token", "n_tokens", "n_bands"),
    [
        ("oci-sfrefl-v3", 0, 1, 24, 24),
        ("oci-sfrefl-v3", 0, 3, 2 + 3 + 3, 24),
        ("oci-sfrefl-v3", 0, 4, 2 + 3 + 3, 24),
        ("oci-sfrefl-v3", 0, 6, 1 + 2 + 2, 24),
        ("oci-sfrefl-v3", 5, 1, 30, 30),
        ("oci-sfrefl-v3", 5, 4, 8 + 4, 30),
        ("oci-sfrefl-v3", 5, 6, 5 + 4, 30),
        ("oci-aop-v3", 0, 1, 46, 46),
        ("oci-aop-v3", 0, 3, 4 + 6 + 6, 46),
        ("oci-aop-v3", 0, 4, 3 + 5 + 5, 46),
        ("oci-aop-v3", 0, 6, 2 + 3 + 3, 46),
        ("oci-aop-v3", 5, 1, 63, 63),
        ("oci-aop-v3", 5, 4, 13 + 5, 63),
        ("oci-aop-v3", 5, 6, 8 + 5, 63),
    ],
)
def test_every_strategy_hides_this_many_tokens_and_bands(
    sensor: str, guard_nm: float, bands_per_token: int, n_tokens: int, n_bands: int
) -> None:
    layout = oci_layout(sensor, guard_nm=guard_nm, bands_per_token=bands_per_token)
    sizes = torch.from_numpy(np.bincount(layout.token))
    for strategy in STRATEGIES:
        mask = drawn(layout, strategy=strategy, guard_nm=guard_nm, bands_per_token=bands_per_token)
        assert mask.hidden.shape == mask.scored.shape == (64, layout.n_tokens)
        assert (mask.hidden.sum(dim=1) == n_tokens).all(), strategy
        bands = (mask.hidden * sizes).sum(dim=1)
        within = 0 if strategy == "targeted" or bands_per_token == 1 else 1
        assert ((bands - n_bands).abs() <= within).all(), strategy
        assert not (mask.scored & ~mask.hidden).any(), strategy
    nothing = drawn(layout, strategy="none")
    assert not nothing.hidden.any()
    assert not nothing.scored.any()


def test_the_papers_28_of_122_bands() -> None:
    layout = oci_layout("oci-sfrefl-v3", half_width_nm=4)  # runs of 7, 11 and 10 bands
    assert layout.sizes[layout.targeted].sum() == 28
    assert layout.targeted.sum() == 2 + 2 + 2


@pytest.mark.parametrize("sensor", ["oci-sfrefl-v3", "oci-aop-v3"])
@pytest.mark.parametrize("guard_nm", [0.0, 5.0])
def test_targeted_hides_windows_and_guards_and_scores_windows_only(sensor: str, guard_nm: float) -> None:
    layout = oci_layout(sensor, guard_nm=guard_nm)
    mask = drawn(layout, 3, strategy="targeted", guard_nm=guard_nm)
    hidden, scored = (part.numpy()[:, layout.token] for part in (mask.hidden, mask.scored))
    for nm, is_hidden, is_scored in zip(layout.wavelength, hidden.T, scored.T, strict=True):
        inside = any(low <= nm <= high for low, high in WINDOWS_NM)
        beside = any(low - guard_nm <= nm <= high + guard_nm for low, high in WINDOWS_NM)
        assert is_scored.tolist() == [inside] * 3, nm
        assert is_hidden.tolist() == [beside] * 3, nm


def test_tokens_follow_the_borders_on_a_small_list() -> None:
    #             window 615-640   guard    outside   gap   outside
    wavelength = np.array([614.0, 616, 620, 630, 641, 643, 646, 650, 654, 700 - 20, 682, 690])
    windows = named_windows("cyanobacteria")
    layout = token_layout(wavelength, windows, guard_nm=4, bands_per_token=2)
    #        guard | 616 620 | 630 | 641 643 | 646 650 | 654 | 680 | 682 | 690
    assert layout.token.tolist() == [0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8]
    assert layout.window.tolist() == [-1, 0, 0, 0, -1, -1, -1, -1, -1, 1, -1, -1]
    assert layout.guard.tolist() == [i in (0, 4, 5, 10) for i in range(12)]
    assert layout.sizes.tolist() == [1, 2, 1, 2, 2, 1, 1, 1, 1]
    assert layout.first_band.tolist() == [0, 1, 3, 4, 6, 8, 9, 10, 11]
    assert layout.scored.tolist() == [False, True, True, False, False, False, True, False, False]
    assert layout.targeted.tolist() == [True, True, True, True, False, False, True, True, False]
    assert layout.members.tolist()[:3] == [[0, -1], [1, 2], [3, -1]]
    assert (layout.n_bands, layout.n_tokens) == (12, 9)


@pytest.mark.slow
@given(
    steps=st.lists(st.floats(0.5, 90), min_size=1, max_size=60),
    bands_per_token=st.integers(1, 8),
    guard_nm=st.integers(0, 12),
    half_width_nm=st.integers(0, 5),
)
def test_a_token_never_crosses_a_border(
    steps: list[float], bands_per_token: int, guard_nm: int, half_width_nm: int
) -> None:
    wavelength = 580.0 + np.cumsum(steps)
    windows = named_windows("cyanobacteria", half_width_nm=half_width_nm)
    layout = token_layout(wavelength, windows, guard_nm=guard_nm, bands_per_token=bands_per_token)
    assert layout.token[0] == 0
    assert set(np.diff(layout.token)) <= {0, 1}
    assert layout.sizes.sum() == wavelength.size
    assert 1 <= layout.sizes.min() <= layout.sizes.max() <= bands_per_token
    for token in range(layout.n_tokens):
        bands = np.flatnonzero(layout.token == token)
        assert layout.members[token][: bands.size].tolist() == bands.tolist()
        assert (layout.members[token][bands.size :] == -1).all()
        assert np.unique(layout.window[bands]).size == np.unique(layout.guard[bands]).size == 1
        assert (np.diff(wavelength[bands]) <= 60).all()


def test_every_token_of_the_default_layout_is_hidden_by_random_masks() -> None:
    """An uneven layout would make some tokens undrawable, and the random baseline another task."""
    layout = oci_layout("oci-aop-v3")
    mask = drawn(layout, 4000, strategy="random")
    share = mask.hidden.float().mean(dim=0)
    assert share.mean() == pytest.approx(layout.targeted.mean(), abs=1e-6)
    assert share.min() > 0.6 * share.mean()
    assert share.max() < 1.4 * share.mean()


def test_random_masks_differ_and_block_masks_are_one_run() -> None:
    layout = oci_layout("oci-aop-v3", bands_per_token=1)
    mask = drawn(layout, 200, strategy="random")
    assert torch.unique(mask.hidden, dim=0).shape[0] == 200
    share = mask.hidden.double().mean(dim=0)  # 46 of 172 in every token, give or take 5 standard errors
    assert (share - 46 / 172).abs().max() < 5 * np.sqrt(46 / 172 * 126 / 172 / 200)
    assert torch.equal(mask.hidden, mask.scored)
    block = drawn(layout, 200, strategy="block")
    edges = (block.hidden[:, 1:] != block.hidden[:, :-1]).sum(dim=1)
    assert set(edges.tolist()) <= {1, 2}
    starts = block.hidden.int().argmax(dim=1)
    assert torch.unique(starts).numel() > 60  # of 127 possible ones
    assert torch.equal(block.hidden, block.scored)


def test_mixed_is_targeted_in_exactly_half_of_the_samples() -> None:
    layout = oci_layout("oci-aop-v3", guard_nm=5)
    mask = drawn(layout, 50, strategy="mixed", guard_nm=5)
    windows = torch.from_numpy(layout.targeted)
    by_window = (mask.hidden == windows).all(dim=1)
    assert by_window.sum() == 25
    assert (mask.scored[by_window] == torch.from_numpy(layout.scored)).all()
    assert torch.equal(mask.scored[~by_window], mask.hidden[~by_window])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("mask_share", "n_masked"), [(0.0, 0), (0.25, 10), (0.5, 20), (0.99, 40), (1.0, 40)])
def test_mask_share_is_an_exact_count_of_samples(
    strategy: Strategy, mask_share: float, n_masked: int
) -> None:
    layout = oci_layout("oci-sfrefl-v3", guard_nm=5)
    mask = drawn(layout, 40, strategy=strategy, mask_share=mask_share, guard_nm=5)
    masked = mask.hidden.any(dim=1)
    assert masked.sum() == n_masked
    assert torch.equal(mask.scored.any(dim=1), masked)
    assert (mask.hidden[masked].sum(dim=1) == 9).all()


@pytest.mark.parametrize("strategy", [*STRATEGIES, "none"])
def test_the_generator_alone_decides(strategy: Strategy) -> None:
    layout = oci_layout("oci-sfrefl-v3")
    before = torch.random.get_rng_state()
    first, again, other = (
        drawn(layout, seed=seed, strategy=strategy, mask_share=0.5).hidden for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (strategy == "none")


def test_no_samples_give_an_empty_mask() -> None:
    layout = oci_layout("oci-sfrefl-v3")
    for strategy in STRATEGIES:
        assert drawn(layout, 0, strategy=strategy).hidden.shape == (0, layout.n_tokens)


def test_the_summary_counts_for_people() -> None:
    sfrefl, aop = oci_layout("oci-sfrefl-v3"), oci_layout("oci-aop-v3", guard_nm=5)
    assert mask_summary(sfrefl, MaskingConfig()) == (
        "masking targeted: 5 of 28 tokens, 24 of 122 bands hidden (20%; 0 of them guards) "
        "in 100% of the samples"
    )
    assert mask_summary(aop, MaskingConfig(strategy="random", guard_nm=5, mask_share=0.5)) == (
        "masking random: 13 of 33 tokens, 63 of 172 bands hidden (37%, within one band; 17 of them guards) "
        "in 50% of the samples"
    )
    assert mask_summary(aop, MaskingConfig(strategy="none")) == (
        "masking none: 0 of 33 tokens, 0 of 172 bands hidden"
    )


def test_mistakes_are_explained() -> None:
    windows = named_windows("cyanobacteria")
    assert issubclass(MaskError, SpectmError)
    assert issubclass(MaskError, ValueError)
    for bad in ([620.0, 610.0, 630.0], [610.0, 610.0], [], [[610.0, 620.0]]):
        with pytest.raises(MaskError, match="strictly increasing, each once; sort the bands by wavelength"):
            token_layout(np.array(bad), windows, guard_nm=0, bands_per_token=2)
    with pytest.raises(MaskError, match=r"Found 3 values beginning \[620.0, 610.0, 630.0\]"):
        token_layout(np.array([620.0, 610.0, 630.0]), windows, guard_nm=0, bands_per_token=2)
    with pytest.raises(MaskError, match="unknown masking strategy 'windows'; choose one of"):
        MaskingConfig(strategy="windows")  # type: ignore[arg-type]
    with pytest.raises(MaskError, match=r"guard_nm >= 0.*found guard_nm=-1"):
        MaskingConfig(guard_nm=-1)
    with pytest.raises(MaskError, match=r"mask_share between 0 and 1.*mask_share=1.5"):
        MaskingConfig(mask_share=1.5)
    with pytest.raises(MaskError, match="mask_share=nan"):
        MaskingConfig(mask_share=float("nan"))
    with pytest.raises(MaskError, match=r"bands_per_token >= 1.*bands_per_token=0"):
        MaskingConfig(bands_per_token=0)
    blue = token_layout(np.arange(400.0, 500.0, 5.0), windows, guard_nm=0, bands_per_token=2)
    for strategy in STRATEGIES:
        with pytest.raises(MaskError, match=r"no band between 400 and 495 nm lies in a window.*'none'"):
            drawn(blue, strategy=strategy)
    assert not drawn(blue, strategy="none").hidden.any()
    with pytest.raises(SensorError, match="guard_nm must be 0 or more"):
        token_layout(np.array([610.0]), windows, guard_nm=float("nan"), bands_per_token=1)


def test_an_impossible_draw_says_what_to_try() -> None:
    # Two window tokens of 4 bands each; outside are single bands only, so no other two tokens hold 7 to 9.
    wavelength = np.array([300.0, 365, 430, 495, 560, 616, 617, 618, 619, 661, 662, 663, 664])
    windows = named_windows("cyanobacteria")
    layout = token_layout(wavelength, windows, guard_nm=0, bands_per_token=4)
    assert layout.sizes.tolist() == [1, 1, 1, 1, 1, 4, 4]
    mask = drawn(layout, 8, strategy="random")  # the windows themselves are the only draw left
    assert (mask.hidden.numpy() == layout.targeted).all()
    apart = np.array([615.0, 616, 617, 618, 645, 661, 662, 663, 664])  # ... and as a block not even they are
    layout = token_layout(apart, windows, guard_nm=0, bands_per_token=4)
    with pytest.raises(
        MaskError, match=r"no draw of 2 tokens holds 8 bands within one.*smaller bands_per_tok"
    ):
        drawn(layout, 8, strategy="block")
    single = token_layout(apart, windows, guard_nm=0, bands_per_token=1)
    assert (drawn(single, 8, strategy="block").hidden.sum(dim=1) == 8).all()
