import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from spectm.data.patches import read_patches, write_patches
from spectm.errors import CheckpointError, MaskError, TrainingError
from spectm.model.masking import MaskingConfig, draw_mask
from spectm.model.preprocess import PreprocessConfig
from spectm.model.spectm import ObjectiveConfig, SpecTM
from spectm.training import pretrain as module
from spectm.training.checkpoint import read_checkpoint
from spectm.training.loop import LoopConfig
from spectm.training.modes import compiler_fallback
from spectm.training.pretrain import layout_for, load_pretrained, pretrain, seeded_model
from spectm.training.pretraining_data import band_statistics, index_targets, pretraining_data, validation_rows
from spectm.training.settings import PretrainConfig

# The mask, from the file to the encoder


OPTIONS = [
    PreprocessConfig(),
    PreprocessConfig(shape=False, slope=False, smoothing_nm=0.0, spread=False),
    PreprocessConfig(shape=True, slope=False, smoothing_nm=0.0),
    PreprocessConfig(slope=True, smoothing_nm=0.0),
    PreprocessConfig(slope=False, smoothing_nm=12.0),
    PreprocessConfig(slope=False, smoothing_nm=0.0, spread=True),
    PreprocessConfig(shape=True, slope=True, smoothing_nm=12.0, spread=True),
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_hidden_reflectance_in_the_readers_array_does_not_reach_the_encoder(
    tmp_path: Path, make_patches, make_settings, options: PreprocessConfig
) -> None:
    write_patches(make_patches(n_dates=3), tmp_path / "patches.nc")
    patches = read_patches(tmp_path / "patches.nc")
    settings = make_settings(preprocess=options, masking=MaskingConfig(guard_nm=5.0, bands_per_token=2))
    layout = layout_for(settings, patches.wavelength)
    statistics = band_statistics(torch.from_numpy(patches.Rrs), layout, options)
    encoder = seeded_model(settings, layout, statistics, n_indices=3, seed=0).encoder
    rng = np.random.default_rng(0)
    for strategy in ("targeted", "random", "block", "mixed"):
        config = replace(settings.masking, strategy=strategy)
        hidden = draw_mask(layout, config, 12, torch.Generator().manual_seed(2)).hidden
        band = hidden.numpy()[:, layout.token]  # (sample, band)
        assert band.sum(axis=1).min() >= 14
        with torch.no_grad():
            before = encoder(torch.from_numpy(patches.Rrs), hidden)
            for values in (rng.normal(0.01, 0.1, patches.Rrs.shape), np.nan, np.inf, -np.inf, 1e35, 0.0):
                raw = patches.Rrs.copy()
                raw[band] = np.broadcast_to(values, raw.shape)[band]
                after = encoder(torch.from_numpy(raw), hidden)
                assert torch.equal(before.summary, after.summary), strategy
                assert torch.equal(before.tokens, after.tokens), strategy
                assert torch.equal(before.brightness, after.brightness), strategy


# Training


@pytest.mark.slow
def test_pretraining_learns(make_patches, make_settings, fabric) -> None:
    settings = make_settings(steps=60, masking=MaskingConfig(bands_per_token=3))
    done = pretrain(fabric, [make_patches()], settings, seed=0)
    validation = [line["validation"] for line in done.state.history if "validation" in line]
    assert len(validation) == 20
    assert min(validation) < 0.7 * validation[0]
    assert (done.n_training, done.n_validation) == (39 - 8, 8)  # two of ten dates held back
    assert done.state.best_loss == min(validation)
    assert "ndci" in done.index_names
    assert {"step", "loss", "learning_rate", "reconstruction", "indices", "temporal"} <= set(
        done.state.history[0]
    )


def test_bands_without_any_index_are_explained(make_patches, make_settings, fabric) -> None:
    patches = make_patches(wavelength=np.array([617.0, 632.0, 900.0, 1000.0]))
    spectrum = pretraining_data([patches]).spectrum
    targets, names = index_targets(spectrum, patches.wavelength, np.ones(39, dtype=bool))
    assert (targets.shape, names) == ((39, 0), ())
    masking = MaskingConfig(bands_per_token=1)
    with pytest.raises(
        TrainingError, match=r"no bio-optical index .* from 4 bands between 617 and 1000 nm.*= 0"
    ):
        pretrain(fabric, [patches], make_settings(masking=masking), seed=0)
    without = make_settings(steps=2, masking=masking, objective=ObjectiveConfig(indices=0))
    assert pretrain(fabric, [patches], without, seed=0).index_names == ()


@pytest.mark.slow
def test_the_seed_decides_and_the_global_generator_is_left_alone(
    make_patches, make_settings, fabric, assert_same_weights
) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        pretrain(fabric, [make_patches()], make_settings(steps=4), seed=seed).model for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_weights(first, again)
    assert not torch.equal(first.encoder.summary_token, other.encoder.summary_token)


def test_normalisation_comes_from_training_dates_only(make_patches, make_settings, fabric) -> None:
    patches = make_patches()
    settings = make_settings(steps=1)
    day = patches.time.astype("datetime64[D]")
    held_back = np.flatnonzero(validation_rows(np.delete(day, 11), 0.2, 3))
    held_back = held_back + (held_back >= 11)
    changed = patches.Rrs.copy()
    changed[held_back] *= 5
    first = pretrain(fabric, [patches], settings, seed=3).model.encoder.statistics
    second = pretrain(fabric, [replace(patches, Rrs=changed)], settings, seed=3).model.encoder.statistics
    np.testing.assert_array_equal(first.centre, second.centre)
    np.testing.assert_array_equal(first.scale, second.scale)


def test_a_checkpoint_is_the_model(
    tmp_path: Path, make_patches, make_settings, fabric, assert_same_weights
) -> None:
    settings = make_settings(steps=4, preprocess=PreprocessConfig(shape=True, slope=True))
    done = pretrain(
        fabric, [make_patches()], settings, seed=5, folder=tmp_path, provenance={"files": ["a.nc"]}
    )
    loaded = load_pretrained(tmp_path)
    assert_same_weights(done.model, loaded)
    assert not loaded.training
    data = pretraining_data([make_patches()])
    hidden = torch.from_numpy(loaded.encoder.layout.targeted).expand(39, -1)
    assert torch.equal(done.model.eval().fill_in(data.Rrs, hidden), loaded.fill_in(data.Rrs, hidden))
    meta = read_checkpoint(tmp_path).meta
    assert meta["units"] == "sr-1"
    assert meta["wavelength_nm"] == make_patches().wavelength.tolist()
    assert meta["normalisation"]["centre"] == done.model.encoder.statistics.centre.tolist()
    assert meta["normalisation"]["log_brightness"] == list(done.model.encoder.statistics.log_brightness)
    assert meta["index_names"] == list(done.index_names)
    assert meta["seed"] == 5
    assert meta["provenance"] == {
        "files": ["a.nc"],
        "simulated": False,
        "n_training": 31,
        "n_validation": 8,
    }
    assert meta["settings"]["preprocess"]["shape"] is True
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("at", "learned_weights"), [(1, False), (4, True), (6, False)])
def test_ctrl_c_and_resume_end_where_an_undisturbed_run_does(
    tmp_path: Path,
    make_patches,
    make_settings,
    fabric,
    interrupt_at,
    assert_same_weights,
    at: int,
    learned_weights: bool,
) -> None:
    settings = make_settings(steps=6, objective=ObjectiveConfig(learned_weights=learned_weights))
    whole = pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path / "whole")
    with (
        interrupt_at(module._Learner, at),
        pytest.raises(KeyboardInterrupt, match=f"after step {at} of 6"),
    ):
        pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path / "broken")
    usable = load_pretrained(tmp_path / "broken")
    Rrs = torch.from_numpy(make_patches().Rrs)
    assert (
        usable.encoder(Rrs, torch.zeros(40, usable.encoder.layout.n_tokens, dtype=bool))
        .summary.isfinite()
        .all()
    )
    resumed = pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path / "broken", resume=True)
    assert_same_weights(whole.model, resumed.model)
    assert_same_weights(load_pretrained(tmp_path / "whole"), load_pretrained(tmp_path / "broken"))
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "broken")]
    assert metrics[0] == metrics[1]
    assert len(metrics[0].splitlines()) == 6


@pytest.mark.slow
def test_a_run_that_stopped_early_resumes_to_itself(
    tmp_path: Path, make_patches, make_settings, fabric, assert_same_weights
) -> None:
    loop = LoopConfig(steps=200, batch_size=16, validate_every=1, patience=1, learning_rate=0.05)
    settings = make_settings(pretraining=PretrainConfig(loop=loop, validation_share=0.2))
    first = pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path)
    assert first.state.step < 200
    again = pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path, resume=True)
    assert again.state.step == first.state.step
    assert_same_weights(first.model, again.model)


@pytest.mark.slow
def test_resuming_another_run_is_refused(tmp_path: Path, make_patches, make_settings, fabric) -> None:
    settings = make_settings(steps=2)
    pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path)

    def resume(patches=None, settings=settings, seed: int = 1, folder: Path = tmp_path) -> None:
        pretrain(fabric, [patches or make_patches()], settings, seed=seed, folder=folder, resume=True)

    with pytest.raises(CheckpointError, match="its seed differ"):
        resume(seed=2)
    with pytest.raises(CheckpointError, match="its settings differ"):
        resume(settings=make_settings(steps=3))
    with pytest.raises(CheckpointError, match="its normalisation differ"):
        resume(patches=make_patches(seed=9))
    with pytest.raises(CheckpointError, match="its wavelength_nm differ"):
        resume(patches=make_patches(wavelength=make_patches().wavelength + 0.25))
    with pytest.raises(CheckpointError, match=r"no checkpoint\.json"):
        resume(folder=tmp_path / "elsewhere")
    resume()


@pytest.mark.slow
def test_a_loss_that_is_no_number_leaves_the_last_checkpoint(
    tmp_path: Path, make_patches, make_settings, fabric, monkeypatch
) -> None:
    loop = LoopConfig(steps=8, batch_size=16, validate_every=3, checkpoint_every=2)
    settings = make_settings(pretraining=PretrainConfig(loop=loop, validation_share=0.2))
    forward, counter = SpecTM.joint_loss, itertools.count(1)
    monkeypatch.setattr(
        SpecTM,
        "joint_loss",
        lambda self, *terms: forward(self, *terms) * (torch.nan if next(counter) == 5 else 1),
    )
    with pytest.raises(TrainingError, match="the loss is nan at step 5"):
        pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path)
    assert all(p.isfinite().all() for p in load_pretrained(tmp_path).parameters())
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself
def test_a_compiled_run_learns_what_an_eager_one_learns(make_patches, make_settings, fabric) -> None:
    if reason := compiler_fallback():
        pytest.skip(reason)
    eager, compiled = (
        pretrain(fabric, [make_patches()], make_settings(), seed=1, compiled=flag) for flag in (False, True)
    )
    for name in ("loss", "reconstruction", "indices"):
        one, two = ([line[name] for line in run.state.history] for run in (eager, compiled))
        np.testing.assert_allclose(two, one, rtol=1e-3)
    assert compiled.state.best_loss == pytest.approx(eager.state.best_loss, rel=1e-3)


def test_a_mask_that_can_not_be_drawn_stops_at_once(
    tmp_path: Path, make_patches, make_settings, fabric
) -> None:
    blue = make_patches(wavelength=np.arange(400.0, 500.0, 10.0))
    with pytest.raises(MaskError, match="lies in a window"):
        pretrain(
            fabric,
            [blue],
            make_settings(objective=ObjectiveConfig(indices=0)),
            seed=1,
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_every_task_and_strategy_trains(make_patches, make_settings, fabric) -> None:
    tasks = ("reconstruction", "indices", "temporal")
    for task, strategy in itertools.product(tasks, ("targeted", "random", "block", "mixed")):
        settings = make_settings(
            steps=2,
            objective=ObjectiveConfig(**{other: float(other == task) for other in tasks}),
            masking=MaskingConfig(strategy=strategy, mask_share=0.5, bands_per_token=1),
        )
        state = pretrain(fabric, [make_patches()], settings, seed=0).state
        assert set(state.history[0]) == {"step", "loss", "learning_rate", task}
        assert np.isfinite(state.history[1]["loss"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_ctrl_c_and_resume_on_a_gpu(tmp_path: Path, make_patches, make_settings, interrupt_at) -> None:
    fabric, settings = Fabric(accelerator="cuda", devices=1), make_settings(steps=6)
    whole = pretrain(fabric, [make_patches()], settings, seed=1)
    with interrupt_at(module._Learner, 3), pytest.raises(KeyboardInterrupt):
        pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path)
    resumed = pretrain(fabric, [make_patches()], settings, seed=1, folder=tmp_path, resume=True)
    for first, second in zip(whole.state.history, resumed.state.history, strict=True):
        assert first == pytest.approx(second, rel=1e-3)


@pytest.mark.slow
def test_real_patches_train(lake_erie: Path, make_settings, fabric) -> None:
    patches = read_patches(lake_erie / "pace_station_patches.nc")
    done = pretrain(fabric, [patches], make_settings(steps=3, masking=MaskingConfig()), seed=0)
    assert done.model.encoder.layout.n_bands == 172
    assert np.isfinite([line["loss"] for line in done.state.history]).all()
    assert (~pretraining_data([patches]).ahead.isnan().any(dim=1)).sum() == 109  # METHOD: 109 of 246
