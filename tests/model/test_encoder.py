import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from spectm.errors import ConfigError
from spectm.model.encoder import EncoderConfig, WavelengthFeatures
from spectm.model.masking import MaskingConfig, draw_mask
from spectm.spectral.sensors import resample

OPTIONS = [
    dict(zip(("shape", "slope", "smoothing_nm", "spread"), values, strict=True))
    for values in itertools.product((False, True), (False, True), (0.0, 12.0), (False, True))
]
STRATEGIES = ["targeted", "random", "block", "mixed"]
SUBSTITUTES = [0.0, -0.05, 0.3, 1e30, -3e38, torch.nan, torch.inf, -torch.inf]


def masks(encoder, strategy: str, n_samples: int, seed: int = 3) -> Tensor:
    guard_nm = 3.0 if encoder.layout.guard.any() else 0.0
    config = MaskingConfig(strategy=strategy, guard_nm=guard_nm)
    return draw_mask(encoder.layout, config, n_samples, torch.Generator().manual_seed(seed)).hidden


def outputs(encoder, Rrs: Tensor, hidden: Tensor) -> list[Tensor]:
    with torch.no_grad():
        encoded = encoder(Rrs, hidden)
    return [encoded.summary, encoded.tokens, encoded.brightness]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(k for k, v in options.items() if v))
def test_the_mask_does_not_leak(make_encoder, make_spectra, bands_nm, options) -> None:
    encoder = make_encoder(guard_nm=3.0, **options)
    Rrs = make_spectra(6, bands_nm)
    Rrs[0, 3], Rrs[1, 25, 0, 1], Rrs[2, 20:26] = torch.nan, torch.nan, torch.nan
    for strategy in STRATEGIES:
        hidden = masks(encoder, strategy, 6)
        band = hidden[:, encoder.get_buffer("token")][..., None, None].expand_as(Rrs)
        assert 0 < band.double().mean() < 0.7
        before = outputs(encoder, Rrs, hidden)
        assert all(tensor.isfinite().all() for tensor in before)
        one_pixel = torch.zeros_like(band)
        one_pixel[..., 0, 1] = True
        others = Rrs.flip(0).nan_to_num(0.7)  # another spectrum, and numbers where there were none
        for changed in (
            *(Rrs.where(~band, value) for value in SUBSTITUTES),
            Rrs.where(~band, others),
            Rrs.where(~(band & one_pixel), torch.nan),  # one pixel of the hidden bands lost
            Rrs.where(~(band & one_pixel), 5.0),
        ):
            after = outputs(encoder, changed, hidden)
            for name, x, y in zip(("summary", "tokens", "brightness"), before, after, strict=True):
                assert torch.equal(x, y), (strategy, name)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS[::3], ids=str)
def test_what_is_visible_does_matter(make_encoder, make_spectra, bands_nm, options) -> None:
    encoder, Rrs = make_encoder(**options), make_spectra(2, bands_nm)
    hidden = masks(encoder, "targeted", 2)
    before = outputs(encoder, Rrs, hidden)[0]
    for band in np.flatnonzero(encoder.layout.window < 0):
        changed = Rrs.clone()
        changed[0, band] *= 1.5
        after = outputs(encoder, changed, hidden)[0]
        assert not torch.equal(before[0], after[0]), bands_nm[band]
        assert torch.equal(before[1], after[1])  # and each sample stands alone


def test_no_mask_hides_nothing(make_encoder, make_spectra, bands_nm) -> None:
    encoder, Rrs = make_encoder(), make_spectra(1, bands_nm)
    nothing = masks(encoder, "none", 1)
    before = outputs(encoder, Rrs, nothing)[0]
    for band in range(bands_nm.size):
        changed = Rrs.clone()
        changed[0, band] += 0.001
        assert not torch.equal(before, outputs(encoder, changed, nothing)[0])


def test_spread_slope_and_brightness_each_add_something(make_encoder, make_spectra, bands_nm) -> None:
    Rrs = make_spectra(1, bands_nm)
    flat = Rrs.mean(dim=(2, 3), keepdim=True).expand_as(Rrs)  # the same mean, no spread
    hidden = masks(make_encoder(), "targeted", 1)
    for spread in (False, True):
        encoder = make_encoder(spread=spread)
        same = torch.allclose(
            outputs(encoder, Rrs, hidden)[0], outputs(encoder, flat, hidden)[0], atol=1e-5, rtol=0
        )
        assert same == (not spread)
    shaped = make_encoder(shape=True)
    x, y = shaped(Rrs, hidden), shaped(2 * Rrs, hidden)
    outside = (shaped.layout.window < 0) & ~shaped.layout.guard
    wanted = Rrs.mean(dim=(2, 3))[:, torch.from_numpy(outside)].mean(dim=1, keepdim=True)
    torch.testing.assert_close(x.brightness, wanted)
    torch.testing.assert_close(y.brightness, 2 * wanted)
    assert make_encoder()(Rrs, hidden).brightness.tolist() == [[1.0]]
    with torch.no_grad():
        shaped.brightness_gain.zero_()  # then only the shape is left, which is the same
    torch.testing.assert_close(shaped(Rrs, hidden).summary, shaped(2 * Rrs, hidden).summary)


def test_hidden_and_missing_are_different_tokens(make_encoder, make_spectra, bands_nm) -> None:
    encoder, Rrs = make_encoder(), make_spectra(1, bands_nm)
    token = int(encoder.layout.token[encoder.layout.window >= 0][0])
    members = torch.from_numpy(encoder.layout.token == token)
    missing = Rrs.clone()
    missing[:, members] = torch.nan
    none = torch.zeros(1, encoder.layout.n_tokens, dtype=torch.bool)
    hidden = none.clone()
    hidden[0, token] = True
    as_missing, as_hidden = outputs(encoder, missing, none)[1], outputs(encoder, Rrs, hidden)[1]
    assert not torch.allclose(as_missing, as_hidden, atol=1e-3)
    # hidden wins where both hold: whether something is there at all is hidden too
    assert torch.equal(outputs(encoder, missing, hidden)[1], as_hidden)
    with torch.no_grad():
        encoder.missing_token.copy_(encoder.hidden_token)
    assert torch.equal(outputs(encoder, missing, none)[1], as_hidden)


def test_a_token_is_the_mean_over_its_bands_that_hold_a_number(make_encoder, make_spectra, bands_nm) -> None:
    encoder = make_encoder(bands_per_token=3)
    encoder.blocks, encoder.norm = (
        torch.nn.Sequential(),
        torch.nn.Identity(),
    )  # what goes into the transformer
    Rrs = make_spectra(1, bands_nm, size=1)
    Rrs[0, [1, 6, 7, 8]] = torch.nan  # one band of token 0, all of token 2
    none = torch.zeros(1, encoder.layout.n_tokens, dtype=torch.bool)
    found = outputs(encoder, Rrs, none)[1][0]
    score = 3 * np.arcsinh(
        (Rrs[0, :, 0, 0].numpy() - encoder.statistics.centre) / encoder.statistics.scale / 3
    )
    for token in range(encoder.layout.n_tokens):
        bands = np.flatnonzero(encoder.layout.token == token)
        there = bands[np.isfinite(score[bands])]
        parts = []
        for band in there:
            nm = torch.tensor([bands_nm[band]], dtype=torch.float32)
            parts.append(float(score[band]) * encoder.band_gain(nm)[0] + encoder.band_offset(nm)[0])
        value = torch.stack(parts).mean(dim=0) if parts else encoder.missing_token
        middle = torch.tensor([bands_nm[bands].mean()], dtype=torch.float32)
        torch.testing.assert_close(found[token], value + encoder.position(middle)[0], rtol=1e-4, atol=1e-4)


def test_a_patch_without_a_number_is_still_finite(make_encoder, bands_nm) -> None:
    for options in OPTIONS:
        encoder = make_encoder(**options)
        empty = torch.full((2, bands_nm.size, 3, 3), torch.nan)
        for strategy in ("targeted", "none"):
            assert all(x.isfinite().all() for x in outputs(encoder, empty, masks(encoder, strategy, 2)))


def test_extreme_reflectance_stays_finite(make_encoder, make_spectra, bands_nm) -> None:
    Rrs = make_spectra(3, bands_nm)
    Rrs[0] *= 1e6
    Rrs[1] *= -100  # negative brightness
    Rrs[2] = 0
    for options in OPTIONS:
        encoder = make_encoder(**options)
        assert all(x.isfinite().all() for x in outputs(encoder, Rrs, masks(encoder, "targeted", 3)))


def test_standardise_by_hand_and_back(make_encoder, make_spectra, bands_nm) -> None:
    encoder = make_encoder()
    mean = make_spectra(4, bands_nm).mean(dim=(2, 3))
    one = torch.ones(4, 1)
    score = encoder.standardise(mean, one)
    linear = (mean.numpy() - encoder.statistics.centre) / encoder.statistics.scale
    np.testing.assert_allclose(score, 3 * np.arcsinh(linear / 3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.unstandardise(score, one), mean, rtol=1e-4, atol=1e-6)
    shaped = make_encoder(shape=True)
    divisor = torch.full((4, 1), 0.008)
    torch.testing.assert_close(
        shaped.unstandardise(shaped.standardise(mean, divisor), divisor), mean, rtol=1e-4, atol=1e-6
    )


def test_one_state_fits_every_band_list(make_encoder, make_spectra, bands_nm) -> None:
    encoder = make_encoder(slope=True, bands_per_token=6)
    fine = np.concatenate([np.arange(405.0, 590.0, 5.0), np.arange(613.0, 722.0, 2.0)])
    other = make_encoder(fine, slope=True, bands_per_token=4, seed=9)
    assert encoder.state_dict().keys() == other.state_dict().keys()
    other.load_state_dict(encoder.state_dict())
    spectrum = make_spectra(3, bands_nm, size=1)[..., 0, 0].numpy()
    on_fine = np.clip(resample(spectrum, bands_nm, fine), 0, None).astype(np.float32)
    Rrs = torch.from_numpy(on_fine)[..., None, None]
    assert Rrs.isfinite().all()
    summary, tokens, _ = outputs(other, Rrs, masks(other, "none", 3))
    assert summary.shape == (3, 16)
    assert tokens.shape == (3, other.layout.n_tokens, 16)
    assert summary.isfinite().all()
    # On the band list of the training the copy is the same model
    same = make_encoder(slope=True, bands_per_token=6, seed=9)
    same.load_state_dict(encoder.state_dict())
    Rrs = make_spectra(3, bands_nm)
    hidden = masks(same, "targeted", 3)
    for x, y in zip(outputs(encoder, Rrs, hidden), outputs(same, Rrs, hidden), strict=True):
        assert torch.equal(x, y)


def test_a_slightly_shifted_band_list_changes_little(make_encoder, make_spectra, bands_nm) -> None:
    encoder = make_encoder()
    shifted_nm = bands_nm + 0.3
    shifted = make_encoder(shifted_nm)
    shifted.load_state_dict(encoder.state_dict())
    spectrum = torch.from_numpy(0.006 + 0.004 * np.sin(bands_nm / 60)).float()[None, :, None, None]
    moved = torch.from_numpy(0.006 + 0.004 * np.sin(shifted_nm / 60)).float()[None, :, None, None]
    none = torch.zeros(1, encoder.layout.n_tokens, dtype=torch.bool)
    first, second = outputs(encoder, spectrum, none)[0], outputs(shifted, moved, none)[0]
    other = outputs(encoder, make_spectra(1, bands_nm), none)[0]
    assert (first - second).norm() < 0.2 * (first - other).norm()


def test_statistics_at_other_bands_are_interpolated(make_encoder, bands_nm) -> None:
    statistics = make_encoder().statistics
    middle = statistics.at((bands_nm[:-1] + bands_nm[1:]) / 2)
    np.testing.assert_allclose(middle.centre, (statistics.centre[:-1] + statistics.centre[1:]) / 2)
    np.testing.assert_allclose(middle.scale, (statistics.scale[:-1] + statistics.scale[1:]) / 2)
    assert middle.log_brightness == statistics.log_brightness


def test_neighbouring_oci_bands_have_different_features() -> None:
    torch.manual_seed(0)
    features = WavelengthFeatures(8)
    near, far = features(torch.tensor([660.0, 662.5])), features(torch.tensor([660.0, 900.0]))
    assert near.shape == (2, 8)
    assert (near[0] - near[1]).norm() > 1e-2
    assert (near[0] - near[1]).norm() < (far[0] - far[1]).norm()


def test_a_patch_is_a_set_of_pixels(make_encoder, make_spectra, bands_nm) -> None:
    encoder, Rrs = make_encoder(spread=True), make_spectra(2, bands_nm, size=3)
    hidden = masks(encoder, "targeted", 2)
    before = outputs(encoder, Rrs, hidden)[0]
    torch.testing.assert_close(before, outputs(encoder, Rrs.transpose(2, 3).flip(2), hidden)[0])
    padded = torch.nn.functional.pad(Rrs, (0, 2, 0, 1), value=torch.nan)
    torch.testing.assert_close(before, outputs(encoder, padded, hidden)[0])


def test_impossible_sizes_are_refused() -> None:
    assert EncoderConfig(width=48, mlp_ratio=1.5).mlp_width == 72
    for bad in (
        {"width": 10, "heads": 4},
        {"depth": 0},
        {"heads": 0},
        {"width": 0},
        {"width": 9, "heads": 3},
    ):
        with pytest.raises(ConfigError, match=r"even width divisible by heads, depth >= 1.*found width="):
            EncoderConfig(**bad)
    with pytest.raises(ConfigError, match="mlp_ratio=0"):
        EncoderConfig(mlp_ratio=0)
