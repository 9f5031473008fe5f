import numpy as np
import pytest
import torch
from scipy import stats

from spectm.model.regressor import MIN_SPREAD, Distribution, Regressor, censored_nll


def test_the_censored_likelihood_against_scipy() -> None:
    rng = np.random.default_rng(0)
    mean, spread, observed = rng.normal(0, 1, 200), rng.uniform(0.1, 2, 200), rng.normal(0, 2, 200)
    below = rng.random(200) < 0.4
    found = censored_nll(
        Distribution(torch.from_numpy(mean), torch.from_numpy(spread)),
        torch.from_numpy(observed),
        torch.from_numpy(below),
    )
    wanted = np.where(
        below, -stats.norm.logcdf(observed, mean, spread), -stats.norm.logpdf(observed, mean, spread)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_stay_finite_far_in_the_tails(dtype: torch.dtype) -> None:
    distance = torch.tensor([-1e4, -300.0, -40.0, -6.0, 0.0, 6.0, 40.0, 300.0, 1e4], dtype=dtype)
    for below in (False, True):
        mean = torch.zeros(9, dtype=dtype, requires_grad=True)
        spread = torch.full((9,), 0.5, dtype=dtype, requires_grad=True)
        loss = censored_nll(Distribution(mean, spread), distance, torch.full((9,), below))
        loss.sum().backward()
        assert loss.isfinite().all()
        assert mean.grad.isfinite().all()
        assert spread.grad.isfinite().all()
        if below:  # inverse Mills ratio: the pull grows like the distance where the mean is far too high
            near = distance.abs() < 100  # torch.special.log_ndtr loses digits beyond, in float32
            score = distance[near].double().numpy() / 0.5
            wanted = np.exp(stats.norm.logpdf(score) - stats.norm.logcdf(score)) / 0.5
            np.testing.assert_allclose(mean.grad[near], wanted, rtol=1e-3, atol=1e-6)
            assert mean.grad[-1] == 0  # certainly below: nothing to learn
        else:
            np.testing.assert_allclose(mean.grad, -distance / 0.25, rtol=1e-5)


def test_a_censored_value_is_a_probability_and_not_a_number() -> None:
    means = torch.linspace(-5, 0, 11)
    limit = torch.full((11,), -1.0)
    distribution = Distribution(means, torch.full((11,), 0.2))
    censored = censored_nll(distribution, limit, torch.ones(11, dtype=torch.bool))
    assert (censored.diff() >= 0).all()  # the lower the better, without an optimum at the limit
    assert censored[0] == pytest.approx(0, abs=1e-6)
    assert censored[8].item() == pytest.approx(np.log(2))  # at the limit: one half


def test_the_regressor_starts_at_the_prior(make_encoder, make_spectra, bands_nm) -> None:
    model = Regressor(make_encoder(), n_context=3)
    prior = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    found = model(make_spectra(4, bands_nm), torch.randn(4, 3, generator=torch.Generator()), prior)
    assert torch.equal(found.mean, prior)
    assert found.spread.tolist() == pytest.approx([MIN_SPREAD + np.log(2)] * 4)
    with torch.no_grad():
        model.raw_spread.fill_(-50)
    spread = model(make_spectra(4, bands_nm), torch.zeros(4, 3), prior).spread
    assert spread.tolist() == pytest.approx([0.1] * 4)


def test_context_enters_linearly(make_encoder, make_spectra, bands_nm) -> None:
    model = Regressor(make_encoder(), n_context=2)
    with torch.no_grad():
        model.head.weight[0, -2:] = torch.tensor([0.5, -2.0])
    Rrs, prior = make_spectra(2, bands_nm), torch.zeros(2)
    found = model(Rrs, torch.tensor([[1.0, 0.0], [3.0, 1.0]]), prior)
    assert found.mean.tolist() == pytest.approx([0.5, -0.5])


def test_it_can_start_from_a_linear_fit(make_encoder, make_spectra, bands_nm) -> None:
    model = Regressor(make_encoder(), n_context=2)
    Rrs, context = make_spectra(4, bands_nm), torch.tensor([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [4.0, 9.0]])
    features = torch.cat([model.embedding(Rrs), context], dim=1).detach()
    rng = np.random.default_rng(0)
    mean, weight = rng.normal(0, 1, (2, features.shape[1]))
    scale = rng.uniform(0.5, 2, features.shape[1])
    scale[-1] = np.inf  # a column that never varied has no say
    model.start_from(*(torch.from_numpy(x).float() for x in (mean, scale, weight)), bias=0.7, spread=0.45)
    prior = torch.tensor([0.0, 1.0, -1.0, 0.5])
    found = model(Rrs, context, prior)
    wanted = prior.numpy() + 0.7 + (features.double().numpy() - mean) / scale @ weight
    np.testing.assert_allclose(found.mean.detach(), wanted, rtol=1e-4, atol=1e-4)
    assert found.spread.tolist() == pytest.approx([0.45] * 4, rel=1e-5)
    model.start_from(*(torch.from_numpy(x).float() for x in (mean, scale, weight)), bias=0.7, spread=0.0)
    assert model(Rrs, context, prior).spread.tolist() == pytest.approx([0.11] * 4)  # never below the floor
    loss = censored_nll(model(Rrs, context, prior), prior, torch.zeros(4, dtype=torch.bool)).sum()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_the_embedding_sees_everything_unless_told(make_encoder, make_spectra, bands_nm) -> None:
    model = Regressor(make_encoder())
    Rrs = make_spectra(3, bands_nm)
    layout = model.encoder.layout
    windows = torch.from_numpy(layout.targeted).expand(3, -1)
    changed = Rrs.clone()
    changed[:, torch.from_numpy(layout.window >= 0)] *= 1.3
    assert model.embedding(Rrs).shape == (3, 16 * (1 + layout.n_tokens))
    assert not torch.allclose(model.embedding(Rrs), model.embedding(changed), atol=1e-4)
    assert torch.equal(model.embedding(Rrs, windows), model.embedding(changed, windows))
    with torch.no_grad():
        encoded = model.encoder(Rrs, torch.zeros_like(windows))
    embedded = model.embedding(Rrs)
    assert torch.equal(embedded[:, :16], encoded.summary)
    assert torch.equal(embedded[:, 32:48], encoded.tokens[:, 1])


@pytest.mark.slow
def test_one_batch_can_be_overfitted_and_reaches_every_parameter(
    make_encoder, make_spectra, bands_nm
) -> None:
    model = Regressor(make_encoder(width=16), n_context=1)
    Rrs = make_spectra(8, bands_nm)
    Rrs[3, :3] = torch.nan  # a missing token
    context = torch.zeros(8, 1)
    context[0] = 1
    observed = torch.tensor([-1.0, -1, 0.3, 1.2, -0.4, 0.9, 0.1, 1.7])
    below = torch.tensor([True, True, *[False] * 6])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(100):
        optimizer.zero_grad()
        found = model(Rrs, context, torch.zeros(8))
        censored_nll(found, observed, below).mean().backward()
        if step == 5:  # the head starts at zero and lets nothing through at first
            without = {n for n, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()}
            assert without == {"encoder.hidden_token"}  # nothing is hidden downstream
        optimizer.step()
    found = model(Rrs, context, torch.zeros(8))
    assert (found.mean - observed)[~below].abs().max() < 0.3
    assert (found.mean < observed)[below].all()
    assert found.spread[0] < 0.6  # started at 0.79
