from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spectm.errors import CheckpointError, TrainingError
from spectm.model.spectm import SpecTM
from spectm.training import finetune as module
from spectm.training.checkpoint import read_checkpoint
from spectm.training.finetune import FittedRegressor, RegressionData, embedding, finetune, load_regressor
from spectm.training.loop import LoopConfig
from spectm.training.pretrain import layout_for, load_pretrained, pretrain, seeded_model
from spectm.training.pretraining_data import band_statistics, validation_rows
from spectm.training.settings import FinetuneConfig, Settings


@pytest.fixture
def settings(make_settings) -> Settings:
    return make_settings()


@pytest.fixture
def pretrained(make_patches, settings) -> SpecTM:
    """A fresh model, which is quicker than a trained one and does as well here."""
    Rrs = torch.from_numpy(make_patches().Rrs)
    layout = layout_for(settings, make_patches().wavelength)
    return seeded_model(settings, layout, band_statistics(Rrs, layout, settings.preprocess), 3, seed=0)


@pytest.fixture
def labelled(make_patches) -> tuple[RegressionData, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, log10 of a quantity that follows the red peak, below detection, dates."""
    patches = make_patches()
    spectrum = patches.mean_spectrum()
    rows = np.flatnonzero(np.isfinite(spectrum).all(axis=1))
    peak = spectrum[:, np.abs(patches.wavelength - 705).argmin()]
    observed = np.log10(np.maximum(300 * peak[rows], 0.5))
    below = observed <= np.log10(1.0)
    rng = np.random.default_rng(0)
    data = RegressionData(patches.Rrs[rows], rng.normal(5, 3, (rows.size, 2)))
    return data, np.where(below, 0.0, observed), below, patches.time[rows].astype("datetime64[D]")


def with_loop(
    settings: Settings, *, encoder_rate: float = 0.3, share: float = 0.2, **loop: float
) -> Settings:
    usual = {"steps": 12, "batch_size": 64, "validate_every": 3, "learning_rate": 5e-3}
    config = FinetuneConfig(
        loop=LoopConfig(**(usual | loop)), validation_share=share, encoder_rate=encoder_rate
    )
    return replace(settings, finetuning=config)


@pytest.mark.slow
def test_finetuning_learns(fabric, pretrained, labelled, settings) -> None:
    data, observed, below, dates = labelled
    assert 3 < below.sum() < 30
    before = {name: tensor.clone() for name, tensor in pretrained.state_dict().items()}
    fitted = finetune(
        fabric, pretrained, data, observed, below, dates, with_loop(settings, steps=60, share=0.0), seed=0
    )
    mean, spread = fitted.predict(data)
    assert mean.dtype == spread.dtype == np.float64
    assert mean.shape == spread.shape == observed.shape
    detected = ~below
    start = np.sqrt(np.mean((observed[detected] - observed.mean()) ** 2))
    assert np.sqrt(np.mean((observed - mean)[detected] ** 2)) < 0.5 * start
    assert np.mean(mean[below] < 0.1) > 0.8
    assert all(torch.equal(before[name], tensor) for name, tensor in pretrained.state_dict().items())


def test_statistics_come_from_training_dates_only(fabric, pretrained, labelled, settings) -> None:
    data, observed, below, dates = labelled
    held_back = validation_rows(dates, 0.2, 7)
    fitted = finetune(fabric, pretrained, data, observed, below, dates, with_loop(settings, steps=1), seed=7)
    mean, scale = (fitted.module.get_buffer(f"feature_{name}")[-2:] for name in ("mean", "scale"))
    context = data.context[~held_back]
    np.testing.assert_allclose(mean, context.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale / scale[0], context.std(axis=0) / context[:, 0].std(), rtol=1e-5)


def test_it_starts_from_a_fit_to_what_the_prior_leaves(fabric, pretrained, labelled, settings) -> None:
    data, observed, below, dates = labelled
    still = with_loop(settings, steps=1, share=0.0, learning_rate=1e-9, encoder_rate=0)
    truth = 0.4 * data.context[:, 0] - 1
    constant = replace(data, Rrs=np.full_like(data.Rrs, 0.01), prior=np.zeros(39))
    for prior in (0.0, 0.5):
        given = replace(constant, prior=np.full(39, prior))
        fitted = finetune(fabric, pretrained, given, truth, np.zeros_like(below), dates, still, seed=0)
        np.testing.assert_allclose(fitted.predict(given)[0], truth, atol=0.02)
        assert fitted.predict(given)[1] == pytest.approx(0.11, abs=0.01)  # hardly anything left
        raised = replace(constant, prior=np.full(39, prior + 2))
        np.testing.assert_allclose(fitted.predict(raised)[0], truth + 2, atol=0.02)
    none = replace(constant, prior=None)
    np.testing.assert_array_equal(fitted.predict(none)[0], fitted.predict(constant)[0])
    fitted = finetune(fabric, pretrained, data, observed, below, np.zeros(39), still, seed=0)
    np.testing.assert_allclose(fitted.predict(data)[0], observed.mean(), rtol=1e-5)  # one date: its mean
    one_column = replace(data, context=np.ones((39, 1)))  # a constant feature has no spread to divide by
    fitted = finetune(fabric, pretrained, one_column, observed, below, dates, still, seed=0)
    assert np.isfinite(fitted.predict(one_column)[0]).all()
    changed = replace(one_column, context=np.full((39, 1), 7.0))
    np.testing.assert_array_equal(fitted.predict(one_column)[0], fitted.predict(changed)[0])


def test_validation_rows_train_nothing(fabric, pretrained, labelled, settings, assert_same_weights) -> None:
    data, observed, below, dates = labelled
    held_back = validation_rows(dates, 0.2, 7)
    changed = observed.copy()
    changed[held_back] += 3
    config = with_loop(settings, steps=4, validate_every=4)  # one look at the end, nothing to choose from
    first, second = (
        finetune(fabric, pretrained, data, y, below, dates, config, seed=7) for y in (observed, changed)
    )
    assert_same_weights(first.module, second.module)


@pytest.mark.slow
@pytest.mark.parametrize("encoder_rate", [0.0, 0.01, 1.0])
def test_the_encoder_has_its_own_rate(fabric, pretrained, labelled, settings, encoder_rate: float) -> None:
    data, observed, below, dates = labelled
    config = with_loop(settings, steps=5, share=0.0, encoder_rate=encoder_rate, validate_every=5)
    fitted = finetune(fabric, pretrained, data, observed, below, dates, config, seed=0)
    moved = max(
        float((x - y).abs().max().detach())
        for (name, x), y in zip(
            fitted.module.encoder.named_parameters(), pretrained.encoder.parameters(), strict=True
        )
    )
    head = float(fitted.module.head.weight.detach().abs().max())
    assert head > 1e-3
    assert (moved == 0) == (encoder_rate == 0)
    assert moved <= 5 * 5e-3 * encoder_rate * 1.1


@pytest.mark.slow
def test_the_seed_decides_and_the_global_generator_is_left_alone(
    fabric, pretrained, labelled, settings, assert_same_weights
) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        finetune(fabric, pretrained, *labelled, with_loop(settings, batch_size=8, steps=4), seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_weights(first.module, again.module)
    assert not torch.equal(first.module.head.weight, other.module.head.weight)


def assert_same_predictions(first: FittedRegressor, second: FittedRegressor, data: RegressionData) -> None:
    for one, two in zip(first.predict(data), second.predict(data), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_checkpoint_is_the_regressor(
    tmp_path: Path, fabric, pretrained, labelled, settings, assert_same_weights
) -> None:
    fitted = finetune(
        fabric,
        pretrained,
        *labelled,
        with_loop(settings),
        seed=3,
        folder=tmp_path,
        provenance={"labels": "a"},
    )
    before = torch.random.get_rng_state()
    loaded = load_regressor(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_weights(fitted.module, loaded.module)
    assert_same_predictions(fitted, loaded, labelled[0])
    meta = read_checkpoint(tmp_path, kind="regressor").meta
    assert meta["provenance"]["labels"] == "a"
    assert (meta["seed"], meta["units"]) == (3, "sr-1")
    with pytest.raises(CheckpointError, match="wanted 'pretrained'"):
        load_pretrained(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "encoder_rate"), [(1, 0.3), (4, 0.0), (6, 0.3)])
def test_ctrl_c_and_resume_end_where_an_undisturbed_run_does(
    tmp_path: Path,
    fabric,
    pretrained,
    labelled,
    settings,
    interrupt_at,
    assert_same_weights,
    at: int,
    encoder_rate: float,
) -> None:
    config = with_loop(settings, steps=6, batch_size=8, encoder_rate=encoder_rate)
    whole = finetune(fabric, pretrained, *labelled, config, seed=1, folder=tmp_path / "whole")
    broken = tmp_path / "broken"
    with (
        interrupt_at(module._Learner, at),
        pytest.raises(KeyboardInterrupt, match=f"after step {at} of 6"),
    ):
        finetune(fabric, pretrained, *labelled, config, seed=1, folder=broken)
    assert all(np.isfinite(part).all() for part in load_regressor(broken).predict(labelled[0]))
    resumed = finetune(fabric, pretrained, *labelled, config, seed=1, folder=broken, resume=True)
    assert_same_weights(whole.module, resumed.module)
    assert_same_predictions(load_regressor(tmp_path / "whole"), load_regressor(broken), labelled[0])
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (broken / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_resuming_another_run_is_refused(
    tmp_path: Path, fabric, pretrained, labelled, settings, make_patches
) -> None:
    data, observed, below, dates = labelled
    config = with_loop(settings, steps=2)
    finetune(fabric, pretrained, *labelled, config, seed=1, folder=tmp_path)

    def resume(data=data, observed=observed, config=config, seed=1, folder=tmp_path) -> None:
        finetune(
            fabric, pretrained, data, observed, below, dates, config, seed=seed, folder=folder, resume=True
        )

    with pytest.raises(CheckpointError, match="its seed differ"):
        resume(seed=2)
    with pytest.raises(CheckpointError, match="its settings differ"):
        resume(config=with_loop(settings, steps=3))
    with pytest.raises(CheckpointError, match="its label_mean differ"):
        resume(observed=observed + 1)
    with pytest.raises(CheckpointError, match="its n_context differ"):
        resume(data=replace(data, context=data.context[:, :1]))
    pretrain(fabric, [make_patches()], config, seed=1, folder=tmp_path / "pretrained")
    with pytest.raises(CheckpointError, match="holds a 'pretrained' checkpoint, wanted 'regressor'"):
        resume(folder=tmp_path / "pretrained")
    resume()


def test_labels_must_be_numbers(fabric, pretrained, labelled, settings) -> None:
    data, observed, below, dates = labelled
    for bad in (np.nan, -np.inf):
        spoiled = observed.copy()
        spoiled[[2, 5]] = bad
        with pytest.raises(
            TrainingError,
            match=r"finite labels in log10; found 39 rows, 2 of them not finite.*below detection",
        ):
            finetune(fabric, pretrained, data, spoiled, below, dates, settings, seed=0)
    nothing = RegressionData(data.Rrs[:0], data.context[:0])
    with pytest.raises(TrainingError, match="found 0 rows"):
        finetune(fabric, pretrained, nothing, observed[:0], below[:0], dates[:0], settings, seed=0)


def test_the_embedding_with_windows_hidden_sees_nothing_of_them(
    fabric, pretrained, labelled, settings
) -> None:
    data, *labels = labelled
    fitted = finetune(fabric, pretrained, data, *labels, with_loop(settings, steps=1), seed=0)
    changed = data.Rrs.copy()
    changed[:, fitted.module.encoder.layout.window >= 0] *= 2
    shown, hidden = (embedding(fitted.module, data.Rrs, hide_windows=hide) for hide in (False, True))
    assert shown.shape == hidden.shape == (39, 16 * (1 + fitted.module.encoder.layout.n_tokens))
    np.testing.assert_array_equal(hidden, embedding(fitted.module, changed, hide_windows=True))
    assert np.abs(shown - embedding(fitted.module, changed, hide_windows=False)).max() > 1e-3
    assert np.abs(shown - hidden).max() > 1e-3


def test_a_bare_encoder_will_do(fabric, pretrained, labelled, settings, assert_same_weights) -> None:
    config = with_loop(settings, steps=2)
    first = finetune(fabric, pretrained, *labelled, config, seed=0)
    second = finetune(fabric, pretrained.encoder, *labelled, config, seed=0)
    assert_same_weights(first.module, second.module)
