from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from spectm.errors import ConfigError
from spectm.model.masking import MaskingConfig, TokenMask, draw_mask
from spectm.model.spectm import ObjectiveConfig, SpecTM

N_INDICES = 4


@pytest.fixture
def make_model(make_encoder) -> Callable[..., SpecTM]:
    def build(objective: ObjectiveConfig | None = None, *, seed: int = 0, **encoder: object) -> SpecTM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return SpecTM(make_encoder(seed=seed, **encoder), objective or ObjectiveConfig(), N_INDICES)

    return build


@pytest.fixture
def make_batch(make_spectra, bands_nm) -> Callable[..., dict[str, Tensor]]:
    """A batch with everything in it: mixed masks, missing bands and tokens, missing targets."""

    def build(model: SpecTM, n_samples: int = 8, *, complete: bool = False) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(5)
        mask = draw_mask(model.encoder.layout, MaskingConfig(strategy="mixed"), n_samples, generator)
        batch = {
            "Rrs": make_spectra(n_samples, bands_nm),
            "hidden": mask.hidden,
            "scored": mask.scored,
            "indices": torch.randn(n_samples, N_INDICES, generator=generator),
            "ahead": make_spectra(n_samples, bands_nm, seed=7).mean(dim=(2, 3)),
            "day_of_year": 150 + 10.0 * torch.arange(n_samples),
            "lead_days": 7 + torch.rand(n_samples, generator=generator) * 3,
        }
        if not complete:
            batch["Rrs"][1, :3] = torch.nan  # a whole token where bands_per_token is 3
            batch["Rrs"][2, 5], batch["Rrs"][3, 14], batch["Rrs"][4, 25, 0, 1] = (
                torch.nan,
                torch.nan,
                torch.nan,
            )
            batch["indices"][0, 1], batch["indices"][5] = torch.nan, torch.nan
            batch["ahead"][2:], batch["ahead"][1, 4] = torch.nan, torch.nan
        return batch

    return build


def total(model: SpecTM, batch: dict[str, Tensor]) -> Tensor:
    terms = model(**batch)
    means = {name: term.total / term.n.clamp(min=1) for name, term in terms.items()}
    return model.joint_loss(means, {name: term.n for name, term in terms.items()})


def row(batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    return {name: tensor[i : i + 1].clone() for name, tensor in batch.items()}


def smooth_l1(error: np.ndarray) -> np.ndarray:
    size = np.abs(error)
    return np.where(size < 1, 0.5 * error**2, size - 0.5)


def test_reconstruction_loss_by_hand(make_model, make_batch) -> None:
    model = make_model()
    batch = make_batch(model)
    encoder = model.encoder
    with torch.no_grad():
        term = model(**batch)["reconstruction"]
        predicted = model.reconstruction(encoder(batch["Rrs"], batch["hidden"])).numpy()
    scored, losses = batch["scored"].numpy(), []
    for i in range(8):
        for band in range(encoder.layout.n_bands):
            pixels = batch["Rrs"][i, band].numpy()
            pixels = pixels[np.isfinite(pixels)]
            if pixels.size and scored[i, encoder.layout.token[band]]:
                linear = (pixels.mean() - encoder.statistics.centre[band]) / encoder.statistics.scale[band]
                losses.append(smooth_l1(predicted[i, band] - 3 * np.arcsinh(linear / 3)))
    assert int(term.n) == len(losses)
    assert float(term.total) == pytest.approx(sum(losses), rel=1e-4)


def test_index_and_temporal_losses_by_hand(make_model, make_batch) -> None:
    model = make_model(shape=True)
    batch = make_batch(model)
    with torch.no_grad():
        terms = model(**batch)
        encoded = model.encoder(batch["Rrs"], batch["hidden"])
        inferred = model.infer_indices(encoded.summary).numpy()
        ahead = model.ahead(encoded, batch["day_of_year"], batch["lead_days"]).numpy()
    wanted = batch["indices"].numpy()
    known = np.isfinite(wanted)
    assert int(terms["indices"].n) == known.sum() == 8 * N_INDICES - 1 - N_INDICES
    assert float(terms["indices"].total) == pytest.approx(smooth_l1(inferred - wanted)[known].sum(), rel=1e-4)
    statistics, layout = model.encoder.statistics, model.encoder.layout
    losses = []
    for i in range(2):  # the others have no partner
        spectrum = batch["ahead"][i].numpy()
        outside = (layout.window < 0) & ~layout.guard & np.isfinite(spectrum)
        linear = (spectrum / spectrum[outside].mean() - statistics.centre) / statistics.scale
        losses.append(smooth_l1(ahead[i] - 3 * np.arcsinh(linear / 3)))
    found = np.isfinite(np.stack(losses))
    assert int(terms["temporal"].n) == found.sum() == 2 * layout.n_bands - 1
    assert float(terms["temporal"].total) == pytest.approx(np.stack(losses)[found].sum(), rel=1e-4)


def test_predictions_at_visible_tokens_get_no_gradient(make_model, make_batch, monkeypatch) -> None:
    model = make_model(ObjectiveConfig(indices=0, temporal=0), guard_nm=3.0)
    batch = make_batch(model)
    for strategy in ("targeted", "random", "block", "mixed"):
        config = MaskingConfig(strategy=strategy, guard_nm=3.0, mask_share=0.75)
        mask = draw_mask(model.encoder.layout, config, 8, torch.Generator().manual_seed(1))
        seen = []

        def kept(encoded, seen=seen) -> Tensor:
            predicted = SpecTM.reconstruction(model, encoded)
            predicted.retain_grad()
            seen.append(predicted)
            return predicted

        monkeypatch.setattr(model, "reconstruction", kept)
        model(**batch | {"hidden": mask.hidden, "scored": mask.scored})["reconstruction"].total.backward()
        token = torch.from_numpy(model.encoder.layout.token)
        there = batch["Rrs"].isfinite().any(dim=3).any(dim=2)
        gradient = seen[0].grad
        assert (gradient[~mask.hidden[:, token]] == 0).all(), strategy
        assert (gradient[~mask.scored[:, token]] == 0).all(), strategy  # guards too
        assert (gradient[~there] == 0).all(), strategy
        assert (gradient[mask.scored[:, token] & there] != 0).all(), strategy


def test_missing_data_never_enters_a_loss(make_model, make_batch) -> None:
    """Whatever stands where a value is missing, no loss and no gradient becomes NaN or changes."""
    model = make_model(spread=True, slope=True, shape=True, smoothing_nm=8.0)
    batch = make_batch(model)
    loss = total(model, batch)
    loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    for substitute in (torch.inf, -torch.inf):
        model.zero_grad()
        other = {
            name: torch.where(x.isnan(), substitute, x) if x.is_floating_point() else x
            for name, x in batch.items()
        }
        again = total(model, other)
        again.backward()
        assert torch.equal(again, loss)
        assert all(torch.equal(p.grad, gradients[name]) for name, p in model.named_parameters())


def test_a_batch_without_any_target_costs_nothing(make_model, make_batch) -> None:
    model = make_model(ObjectiveConfig(learned_weights=False))
    batch = make_batch(model)
    for name in ("Rrs", "indices", "ahead"):
        batch[name] = torch.full_like(batch[name], torch.nan)
    terms = model(**batch)
    assert {name: (float(term.total.detach()), int(term.n)) for name, term in terms.items()} == {
        "reconstruction": (0, 0),
        "indices": (0, 0),
        "temporal": (0, 0),
    }
    total(model, batch).backward()
    assert all((p.grad == 0).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reconstruction", "indices", "temporal"])
def test_what_one_sample_lacks_changes_nothing_for_another(make_model, make_batch, task) -> None:
    model = make_model(
        ObjectiveConfig(**{t: float(t == task) for t in ("reconstruction", "indices", "temporal")})
    )
    whole = make_batch(model, 2, complete=True)
    name = {"reconstruction": "Rrs", "indices": "indices", "temporal": "ahead"}[task]
    holed = {key: tensor.clone() for key, tensor in whole.items()}
    lost = [2] if task == "indices" else np.flatnonzero(model.encoder.layout.window >= 0)[[1, 8]]
    holed[name][1, lost] = torch.nan

    def count_and_gradient(batch: dict[str, Tensor]) -> tuple[int, list[Tensor]]:
        model.zero_grad()
        term = model(**batch)[task]
        term.total.backward()
        return int(term.n), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    n_first, g_first = count_and_gradient(row(whole, 0))
    for batch in (whole, holed):
        n_both, g_both = count_and_gradient(batch)
        n_second, g_second = count_and_gradient(row(batch, 1))
        assert n_both == n_first + n_second
        for both, first, second in zip(g_both, g_first, g_second, strict=True):
            torch.testing.assert_close(both, first + second, rtol=1e-3, atol=1e-4)
    n_whole, n_holed = count_and_gradient(whole)[0], count_and_gradient(holed)[0]
    hidden = (
        whole["scored"][1, model.encoder.layout.token[lost]]
        if task == "reconstruction"
        else torch.ones(len(lost))
    )
    assert n_whole - n_holed == int(hidden.sum())


@pytest.mark.parametrize("options", [{}, {"shape": True, "slope": True, "smoothing_nm": 8.0, "spread": True}])
@pytest.mark.parametrize("learned_weights", [False, True])
def test_every_parameter_gets_a_gradient(make_model, make_batch, options, learned_weights) -> None:
    model = make_model(ObjectiveConfig(learned_weights=learned_weights), **options)
    total(model, make_batch(model)).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    assert without == []


@pytest.mark.slow
def test_one_batch_can_be_overfitted(make_model, make_batch) -> None:
    model = make_model()
    batch = make_batch(model, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = {name: float((term.total / term.n).detach()) for name, term in model(**batch).items()}
    for _ in range(150):
        optimizer.zero_grad()
        total(model, batch).backward()
        optimizer.step()
    last = {name: float((term.total / term.n).detach()) for name, term in model(**batch).items()}
    assert all(last[name] < first[name] / 10 for name in first), (first, last)


def test_tasks_can_be_switched_off(make_model, make_batch) -> None:
    heads = {"reconstruction": "reconstruct", "indices": "infer_indices", "temporal": "predict_ahead"}
    complete = make_model()
    for task, head in heads.items():
        weights = {other: 0.0 if other == task else 1.0 for other in heads}
        model = make_model(ObjectiveConfig(**weights))
        assert not hasattr(model, head)
        assert set(model(**make_batch(model))) == set(heads) - {task}
        assert hasattr(complete, head)


COUNTS = {name: torch.tensor(7) for name in ("reconstruction", "indices", "temporal")}


def test_the_joint_loss_by_hand() -> None:
    means = {"reconstruction": torch.tensor(2.0), "indices": torch.tensor(3.0), "temporal": torch.tensor(5.0)}
    objective = ObjectiveConfig(reconstruction=1.0, indices=0.5, temporal=0.2, learned_weights=False)
    assert objective.weights == {"reconstruction": 1.0, "indices": 0.5, "temporal": 0.2}
    encoderless = SpecTM.__new__(SpecTM)
    torch.nn.Module.__init__(encoderless)
    encoderless.objective = objective
    assert float(encoderless.joint_loss(means, COUNTS)) == pytest.approx(2 + 1.5 + 1)
    two = {name: means[name] for name in ("reconstruction", "temporal")}
    encoderless.objective = ObjectiveConfig(indices=0, temporal=0.2, learned_weights=False)
    assert float(encoderless.joint_loss(two, COUNTS)) == pytest.approx(2 + 1)


def test_learned_weights_start_at_the_settings_and_settle_at_the_loss(make_model) -> None:
    model = make_model(ObjectiveConfig(temporal=0.25, learned_weights=True))
    means = {"reconstruction": torch.tensor(2.0), "indices": torch.tensor(3.0), "temporal": torch.tensor(5.0)}
    # exp(-s) L + s with s = -log(weight)
    assert float(model.joint_loss(means, COUNTS).detach()) == pytest.approx(
        2 + 3 + 0.25 * 5 + np.log(4), rel=1e-6
    )
    optimizer = torch.optim.SGD([model.log_variance], lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        model.joint_loss(means, COUNTS).backward()
        optimizer.step()
    assert model.log_variance.tolist() == pytest.approx(np.log([2, 3, 5]), rel=1e-3)  # where it is smallest


def test_a_learned_weight_rests_while_its_task_has_no_target(make_model) -> None:
    model = make_model(ObjectiveConfig(learned_weights=True))
    means = {"reconstruction": torch.tensor(2.0), "indices": torch.tensor(3.0), "temporal": torch.tensor(0.0)}
    loss = model.joint_loss(means, COUNTS | {"temporal": torch.tensor(0)})
    loss.backward()
    assert float(loss.detach()) == pytest.approx(5.0)
    assert model.log_variance.grad.tolist() == pytest.approx([1 - 2, 1 - 3, 0])  # of exp(-s) L + s at s = 0


def test_the_seed_decides_the_weights(make_model) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (make_model(seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_fill_in_keeps_what_is_given(make_model, make_spectra, bands_nm) -> None:
    model = make_model(shape=True)
    Rrs = make_spectra(3, bands_nm)
    Rrs[1, 2], Rrs[2, 14] = torch.nan, torch.nan  # visible; hidden
    mask: TokenMask = draw_mask(model.encoder.layout, MaskingConfig(), 3, torch.Generator())
    filled = model.fill_in(Rrs, mask.hidden)
    hidden = torch.from_numpy(model.encoder.layout.window >= 0)
    assert hidden[14]
    given = Rrs.nanmean(dim=(2, 3))
    torch.testing.assert_close(filled[:, ~hidden], given[:, ~hidden], equal_nan=True)
    assert filled[1, 2].isnan()
    assert filled[:, hidden].isfinite().all()
    changed = Rrs.clone()
    changed[:, hidden] = 7.0
    assert torch.equal(model.fill_in(changed, mask.hidden)[:, hidden], filled[:, hidden])


@pytest.mark.slow
def test_fill_in_learns_the_spectrum_it_was_trained_on(make_model, make_spectra, bands_nm) -> None:
    model = make_model(ObjectiveConfig(indices=0, temporal=0), shape=True)
    Rrs = make_spectra(3, bands_nm, size=1)
    mask = draw_mask(model.encoder.layout, MaskingConfig(), 3, torch.Generator())
    unused = torch.zeros(3, N_INDICES), torch.zeros(3, bands_nm.size), torch.zeros(3), torch.zeros(3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        term = model(Rrs, mask.hidden, mask.scored, *unused)["reconstruction"]
        (term.total / term.n).backward()
        optimizer.step()
    hidden = torch.from_numpy(model.encoder.layout.window >= 0)
    filled, wanted = model.fill_in(Rrs, mask.hidden)[:, hidden], Rrs[:, hidden, 0, 0]
    assert ((filled - wanted).abs() / wanted).median() < 0.05


def test_impossible_objectives_are_refused() -> None:
    for bad in ({"reconstruction": -1}, {"reconstruction": 0, "indices": 0, "temporal": 0}):
        with pytest.raises(
            ConfigError, match="task weights of 0 or more, one of them above 0; found reconstr"
        ):
            ObjectiveConfig(**bad)
