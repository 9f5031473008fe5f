import warnings

import numpy as np
import pytest
import torch

from spectm.errors import ConfigError
from spectm.model.preprocess import PreprocessConfig, brightness, local_line, pixel_mean, pixel_spread


def holey(seed: int = 0) -> np.ndarray:
    """(sample 5, band 7, 3, 3) with missing pixels, infinities, and a band without any value."""
    rng = np.random.default_rng(seed)
    Rrs = rng.normal(0.01, 0.004, (5, 7, 3, 3))
    Rrs[rng.random(Rrs.shape) < 0.3] = np.nan
    Rrs[1, 2] = np.nan
    Rrs[4, 6, 1, 1], Rrs[4, 6, 1, 2] = np.inf, -np.inf
    return Rrs


def test_pixel_mean_and_spread_against_numpy() -> None:
    Rrs = holey()
    flat = np.where(np.isinf(Rrs), np.nan, Rrs).reshape(5, 7, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy on the empty band
        wanted_mean, wanted_spread = np.nanmean(flat, axis=-1), np.nanstd(flat, axis=-1)
    tensor = torch.from_numpy(Rrs)
    mean, there = pixel_mean(tensor)
    spread = pixel_spread(tensor, mean)
    assert there.numpy().tolist() == np.isfinite(wanted_mean).tolist()
    assert (~there).sum() == 1
    np.testing.assert_allclose(mean[there], wanted_mean[there.numpy()], rtol=1e-12)
    np.testing.assert_allclose(spread[there], wanted_spread[there.numpy()], rtol=1e-10)
    assert mean[1, 2] == spread[1, 2] == 0


def test_spread_of_a_single_pixel_is_zero() -> None:
    one = torch.tensor([[[[0.3]], [[torch.nan]]]])
    mean, there = pixel_mean(one)
    assert there.tolist() == [[True, False]]
    assert pixel_spread(one, mean).tolist() == [[0.0, 0.0]]


def test_brightness_by_hand() -> None:
    mean = torch.tensor([[0.01, 0.03, 9.0], [-0.01, -0.02, 9.0], [0.01, 0.02, torch.nan], [1.0, 1.0, 1.0]])
    visible = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]], dtype=torch.bool)
    found = brightness(mean, visible)
    assert found.shape == (4, 1)
    assert found[:, 0].tolist() == pytest.approx([0.02, 2e-4, 0.015, 2e-4])  # dark, or nothing: the floor


def test_local_line_is_a_weighted_fit_with_a_small_ridge() -> None:
    rng = np.random.default_rng(1)
    wavelength = np.sort(rng.uniform(400, 700, 40))
    values = rng.normal(size=(3, 40))
    visible = rng.random((3, 40)) < 0.7
    h = 12.0
    level, slope = local_line(
        torch.from_numpy(np.where(visible, values, np.nan)),
        torch.from_numpy(visible),
        torch.from_numpy(wavelength),
        bandwidth_nm=h,
    )
    for sample in range(3):
        for band in range(40):
            seen = visible[sample]
            offset = (wavelength[seen] - wavelength[band]) / h
            root = np.exp(-0.25 * offset**2)  # square root of the weight, as for numpy.polyfit
            if (root**2).sum() <= 1e-6:
                continue
            # The ridge is one more equation, 0.1 * sqrt(sum of weights) * slope = 0.
            lines = np.stack([root, root * offset], axis=1)
            ridge = [0.0, 0.1 * np.sqrt((root**2).sum())]
            wanted = np.linalg.lstsq(
                np.vstack([lines, ridge]), np.append(root * values[sample, seen], 0), rcond=None
            )[0]
            assert (level[sample, band].item(), slope[sample, band].item()) == pytest.approx(
                tuple(wanted), rel=1e-6, abs=1e-9
            )


def test_local_line_is_near_numpy_polyfit() -> None:
    wavelength = np.arange(400.0, 700.0, 2.5)
    values = np.sin(wavelength / 30)[None]
    level, slope = local_line(
        torch.from_numpy(values),
        torch.ones(1, wavelength.size, dtype=torch.bool),
        torch.from_numpy(wavelength),
        bandwidth_nm=10.0,
    )
    for band in range(wavelength.size):
        offset = (wavelength - wavelength[band]) / 10
        wanted_slope, wanted_level = np.polyfit(offset, values[0], 1, w=np.exp(-0.25 * offset**2))
        assert slope[0, band].item() == pytest.approx(wanted_slope, abs=0.01)  # 1 % inside, 3 % at the ends
        assert level[0, band].item() == pytest.approx(wanted_level, abs=0.01)


@pytest.mark.parametrize("bandwidth_nm", [5.0, 20.0])
def test_a_straight_line_has_one_slope_and_its_own_level(bandwidth_nm: float) -> None:
    wavelength = torch.arange(400.0, 720.0, 2.5)
    line = 0.02 * (wavelength - 560)[None]
    visible = torch.ones_like(line, dtype=torch.bool)
    level, slope = local_line(line, visible, wavelength, bandwidth_nm=bandwidth_nm)
    inside = slice(32, -32)  # 4 bandwidths of 20 nm from both ends
    np.testing.assert_allclose(slope[:, inside], 0.02 * bandwidth_nm / 1.01, rtol=1e-4)  # 1.01: the ridge
    np.testing.assert_allclose(level[:, inside], line[:, inside], atol=1e-4)
    np.testing.assert_allclose(slope, 0.02 * bandwidth_nm, rtol=0.04)  # ends included
    level, slope = local_line(torch.full_like(line, 3.0), visible, wavelength, bandwidth_nm=bandwidth_nm)
    np.testing.assert_allclose(slope, 0, atol=1e-5)
    np.testing.assert_allclose(level, 3, rtol=1e-5)


def test_local_line_takes_visible_neighbours_only() -> None:
    wavelength = torch.tensor([500.0, 505, 510, 515, 600, 900])
    visible = torch.tensor([[True, True, False, True, True, False]])
    values = torch.tensor([[1.0, 2, 3, 4, 5, 6]])
    found = local_line(values, visible, wavelength, bandwidth_nm=5.0)
    for other in (torch.nan, torch.inf, -torch.inf, 1e30, 0.0):
        changed = torch.where(visible, values, other)
        again = local_line(changed, visible, wavelength, bandwidth_nm=5.0)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    level, slope = found
    assert (level[0, 5].item(), slope[0, 5].item()) == (0, 0)  # nobody within reach of 900 nm
    assert (level[0, 4].item(), slope[0, 4].item()) == pytest.approx((5, 0))  # alone
    assert torch.isfinite(torch.stack(found)).all()


def test_the_number_of_channels_follows_from_the_options() -> None:
    assert PreprocessConfig().n_channels == 2
    assert PreprocessConfig(shape=True, slope=False, smoothing_nm=10).n_channels == 1
    assert (
        PreprocessConfig(slope=True).n_channels == PreprocessConfig(slope=False, spread=True).n_channels == 2
    )
    assert PreprocessConfig(slope=True, spread=True).n_channels == 3


def test_a_negative_smoothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"smoothing_nm of 0 or more.*found -5"):
        PreprocessConfig(smoothing_nm=-5)
