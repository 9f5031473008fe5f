from dataclasses import replace

import numpy as np
import pytest
import torch

from spectm.errors import TrainingError
from spectm.model.preprocess import PreprocessConfig
from spectm.spectral.indices import ndci
from spectm.training import pretraining_data as module
from spectm.training.pretrain import layout_for
from spectm.training.pretraining_data import (
    band_statistics,
    index_targets,
    pretraining_data,
    validation_rows,
)


def test_rows_are_patches_with_a_valid_pixel(make_patches) -> None:
    patches = make_patches()
    data = pretraining_data([patches])
    rows = np.delete(np.arange(40), 11)  # the one without any value
    assert data.n_samples == 39
    np.testing.assert_array_equal(data.Rrs, patches.Rrs[rows])
    np.testing.assert_array_equal(data.spectrum, patches.mean_spectrum()[rows])
    assert data.day.tolist() == patches.time[rows].astype("datetime64[D]").tolist()
    assert data.day_of_year[:1].tolist() == [183]  # 1 July of a leap year
    assert data.day_of_year[-1:].tolist() == [183 + 36]


def test_a_single_source_without_gaps_is_not_copied(make_patches) -> None:
    patches = make_patches()
    whole = patches.select(np.delete(np.arange(40), 11))
    assert np.shares_memory(pretraining_data([whole]).Rrs.numpy(), whole.Rrs)
    assert pretraining_data([patches]).n_samples == 39  # here the empty patch is left out, which copies


def test_statistics_of_some_rows_are_those_of_these_rows_alone(
    make_patches, make_settings, monkeypatch
) -> None:
    settings = make_settings()
    data = pretraining_data([make_patches()])
    layout, rows = layout_for(settings, data.wavelength), torch.tensor([0, 3, 4, 17, 30])
    alone = band_statistics(data.Rrs[rows], layout, settings.preprocess)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    among = band_statistics(data.Rrs, layout, settings.preprocess, rows=rows)
    np.testing.assert_array_equal(among.centre, alone.centre)
    np.testing.assert_array_equal(among.scale, alone.scale)
    assert among.log_brightness == alone.log_brightness


def test_partners_are_eight_days_later_at_the_same_station(make_patches) -> None:
    patches = make_patches()  # every 4 days at 4 stations, so 8 days ahead is 8 rows further
    data = pretraining_data([patches])
    spectrum = patches.mean_spectrum()
    rows = np.delete(np.arange(40), 11)
    for i, row in enumerate(rows):
        if row + 8 >= 40 or row + 8 == 11:  # beyond the end; or 12 days off, past the tolerance
            assert data.ahead[i].isnan().all()
            assert data.lead_days[i] == 0
        else:
            np.testing.assert_allclose(data.ahead[i], spectrum[row + 8], rtol=1e-6)
            assert data.lead_days[i] == 8


def test_sources_of_other_patch_sizes_are_joined(make_patches) -> None:
    large, pixels = make_patches(size=3), make_patches(size=1, seed=1, n_dates=3)
    narrow = replace(large, Rrs=large.Rrs[:, :, :2], source="not square")
    for other in (pixels, narrow):
        data = pretraining_data([other, large])
        assert data.Rrs.shape[2:] == (3, 3)
        assert data.Rrs[:2, :, other.Rrs.shape[2] :].isnan().all()
        assert data.Rrs[:2, :, :, other.Rrs.shape[3] :].isnan().all()
        np.testing.assert_allclose(
            data.Rrs.nanmean(dim=(2, 3))[:2], np.nanmean(other.Rrs[:2], axis=(2, 3)), rtol=1e-5
        )
    alone = pretraining_data([narrow])
    assert alone.Rrs.shape[2:] == (3, 3)


def test_unusable_sources_are_explained(make_patches) -> None:
    patches = make_patches()
    other = make_patches(wavelength=np.arange(400.0, 720.0, 10.0))
    with pytest.raises(
        TrainingError, match=r"one band list; made for a test has 33 bands from 410 nm.*Resample"
    ):
        pretraining_data([patches, other])
    nothing = replace(patches, Rrs=np.full_like(patches.Rrs, np.nan))
    for sources in ([], [nothing], [patches.select(slice(0, 0))]):
        with pytest.raises(TrainingError, match="at least one valid pixel; found none"):
            pretraining_data(sources)


def test_band_statistics_against_numpy(make_patches, make_settings) -> None:
    settings = make_settings()
    Rrs = torch.from_numpy(make_patches().Rrs)
    layout = layout_for(settings, make_patches().wavelength)
    mean = np.array([np.nanmean(x, axis=(1, 2)) for i, x in enumerate(Rrs.double().numpy()) if i != 11])
    plain = band_statistics(Rrs, layout, PreprocessConfig())
    low, middle, high = (np.nanpercentile(mean, p, axis=0) for p in (25, 50, 75))
    np.testing.assert_allclose(plain.centre, middle, rtol=1e-4)
    np.testing.assert_allclose(plain.scale, 0.741 * (high - low), rtol=1e-3)
    assert plain.log_brightness == (0, 1)
    bright = mean[:, layout.window < 0].mean(axis=1)
    shaped = band_statistics(Rrs[torch.arange(40) != 11], layout, PreprocessConfig(shape=True))
    np.testing.assert_allclose(shaped.centre, np.median(mean / bright[:, None], axis=0), rtol=1e-4)
    assert shaped.log_brightness[0] == pytest.approx(np.median(np.log(bright)), rel=1e-4)
    Rrs[:, 4] = torch.nan
    with pytest.raises(TrainingError, match="no training spectrum has a value at 490 nm"):
        band_statistics(Rrs, layout, PreprocessConfig())
    constant = band_statistics(torch.full((5, layout.n_bands, 1, 1), 0.01), layout, PreprocessConfig())
    assert (constant.scale == 1e-6).all()


def test_indices_are_standardised_on_training_rows(make_patches) -> None:
    patches = make_patches()
    data = pretraining_data([patches])
    training = data.day < np.datetime64("2024-07-20")
    targets, names = index_targets(data.spectrum, data.wavelength, training)
    assert {"ndci", "flh", "ss_665"} <= set(names)
    assert targets.shape == (39, len(names))
    values = ndci(data.spectrum, data.wavelength)
    low, middle, high = np.percentile(values[training], [25, 50, 75])
    wanted = np.clip((values - middle) / (0.741 * (high - low)), -5, 5)
    np.testing.assert_allclose(targets[:, names.index("ndci")], wanted, rtol=1e-4, atol=1e-5)
    changed = data.spectrum.copy()
    changed[~training] *= 3
    again, _ = index_targets(changed, data.wavelength, training)
    assert torch.equal(targets[torch.from_numpy(training)], again[torch.from_numpy(training)])


def test_validation_is_split_by_date() -> None:
    day = np.repeat(np.arange(20), 5)
    for share, n_dates in ((0.15, 3), (0.01, 1), (0.0, 0), (1.0, 19)):
        chosen = validation_rows(day, share, seed=4)
        assert np.unique(day[chosen]).size == n_dates
        assert chosen.sum() == 5 * n_dates  # whole dates
    assert (validation_rows(day, 0.3, 1) == validation_rows(day, 0.3, 1)).all()
    assert (validation_rows(day, 0.3, 1) != validation_rows(day, 0.3, 2)).any()
    assert not validation_rows(np.zeros(5), 0.5, seed=0).any()  # a single date is trained on
