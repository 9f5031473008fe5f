"""Attributions of functions whose answer is known: straight lines, ratios, steps and a small network."""

import numpy as np
import pytest
import torch

from spectm.errors import AttributionError
from spectm.spectral.indices import cicyano, pc_ratio, pci
from spectm.trust.attribution import (
    STEP,
    differentiable,
    integrated_gradients,
    occlusion,
    path_differences,
    path_gradients,
)

BANDS_NM = np.array([560.0, 620.0, 665.0, 681.0, 709.0])
WEIGHTS = torch.tensor([100.0, -200.0, 0.0, 50.0, 10.0], dtype=torch.float64)


@pytest.fixture
def spectra() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.004, 0.02, (6, BANDS_NM.size))


def linear(spectra: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
    return spectra @ WEIGHTS + (0.0 if offset is None else offset)


def test_a_straight_line_gives_each_band_its_weight_times_its_difference(spectra) -> None:
    reference = np.full_like(spectra, 0.01)
    found = integrated_gradients(linear, spectra, reference)
    np.testing.assert_allclose(found.bands, (spectra - 0.01) * WEIGHTS.numpy(), atol=1e-7)
    np.testing.assert_allclose(found.gap, 0.0, atol=1e-7)
    np.testing.assert_allclose(found.reference, 0.01 * WEIGHTS.sum())


def test_more_tensors_go_with_their_rows(spectra) -> None:
    offset = torch.arange(6, dtype=torch.float64)
    found = integrated_gradients(linear, spectra, spectra * 0.5, more=[offset], rows_at_once=70)
    np.testing.assert_allclose(found.estimate, spectra @ WEIGHTS.numpy() + np.arange(6))
    np.testing.assert_allclose(found.bands, 0.5 * spectra * WEIGHTS.numpy(), atol=1e-7)


def test_a_product_is_shared_by_its_factors(spectra) -> None:
    """The integral of x0 x1 along a straight way from zero gives each factor half of it."""
    found = integrated_gradients(lambda s: 1e4 * s[:, 0] * s[:, 1], spectra, np.zeros_like(spectra))
    half = 1e4 * spectra[:, 0] * spectra[:, 1] / 2
    np.testing.assert_allclose(found.bands[:, :2], np.column_stack([half, half]), atol=1e-7)
    assert (found.bands[:, 2:] == 0).all()


def test_a_spectrum_with_a_gap_has_none(spectra) -> None:
    spectra[2, 3] = np.nan
    found = integrated_gradients(linear, spectra, np.full_like(spectra, 0.01))
    assert np.isnan(found.bands[2]).all()
    assert np.isnan(found.estimate[2])
    assert np.isfinite(np.delete(found.bands, 2, axis=0)).all()
    assert found.complete().tolist() == [True, True, False, True, True, True]


def test_a_jump_is_found_by_more_steps() -> None:
    """A step of height 1 that band 0 alone crosses."""

    def step(spectra: np.ndarray) -> np.ndarray:
        return np.where(spectra[:, :1] > 0.0103, 1.0, 0.0)

    low, high = np.full((1, 5), 0.006), np.full((1, 5), 0.015)
    steep = differentiable(step)
    found = integrated_gradients(lambda s: steep(s)[:, 0], high, low, tolerance=0.1)
    assert found.bands[0, 0] == pytest.approx(1.0, abs=0.1)
    assert (found.bands[0, 1:] == 0).all()


@pytest.mark.slow
def test_what_can_not_be_complete_says_so() -> None:
    low, high = np.full((1, 5), 0.006), np.full((1, 5), 0.015)
    found = integrated_gradients(lambda s: (s[:, 0] > 0.01).double() + 0 * s.sum(dim=1), high, low)
    assert found.gap == pytest.approx(1.0)
    assert not found.complete()[0]


def test_a_gradient_that_is_not_finite_is_an_error(spectra) -> None:
    with pytest.raises(AttributionError, match="wanted finite gradients, found others for 6 of 6"):
        integrated_gradients(
            lambda s: (s - s).sqrt().sum(dim=1) + s.sum(dim=1), spectra, np.full_like(spectra, 0.01)
        )


def test_shapes_that_do_not_belong_together_are_an_error(spectra) -> None:
    with pytest.raises(AttributionError, match=r"found \(6, 5\), \(5, 5\)"):
        integrated_gradients(linear, spectra, spectra[:5])
    with pytest.raises(AttributionError, match="a group for each of 5 bands"):
        occlusion(linear, spectra, spectra, np.full(5, -1))


def test_no_call_is_larger_than_asked_for(spectra) -> None:
    """What bounds the memory of a whole map."""
    sizes = []

    def watched(spectra: torch.Tensor) -> torch.Tensor:
        sizes.append(len(spectra))
        return linear(spectra)

    many = np.tile(spectra, (50, 1))
    found = integrated_gradients(watched, many, many * 0.5, rows_at_once=64)
    assert max(sizes) == 64
    np.testing.assert_allclose(found.bands, 0.5 * many * WEIGHTS.numpy(), atol=1e-7)
    sizes.clear()
    occlusion(watched, many, many * 0.5, np.arange(5), rows_at_once=64)
    assert max(sizes) == 64


def test_occlusion_of_a_straight_line(spectra) -> None:
    groups = np.array([-1, 1, 0, 1, -1])
    found = occlusion(linear, spectra, np.full_like(spectra, 0.01), groups)
    change = (spectra - 0.01) * WEIGHTS.numpy()
    np.testing.assert_allclose(
        found, np.column_stack([change[:, 2], change[:, 1] + change[:, 3]]), atol=1e-12
    )


@pytest.mark.parametrize(
    ("index", "slope"),
    [
        # PCI: R620 below the line from 560 to 665 nm, which passes 620 nm at 3/7 and 4/7 of its ends.
        (pci, lambda s: np.column_stack([3 / 7 + 0 * s[:, 0], -1 + 0 * s[:, 0], 4 / 7 + 0 * s[:, 0]])),
        # PC ratio R709 / R620.
        (pc_ratio, lambda s: np.column_stack([0 * s[:, 0], -s[:, 4] / s[:, 1] ** 2, 0 * s[:, 0]])),
    ],
)
def test_differences_are_the_slope_of_a_formula(spectra, index, slope) -> None:
    inputs = torch.tensor(spectra, requires_grad=True)
    torch_index = differentiable(lambda s: index(s, BANDS_NM)[:, None])
    torch_index(inputs).sum().backward()
    # A ratio bends within the step: (step / R620)^2 of it.
    np.testing.assert_allclose(inputs.grad[:, :3], slope(spectra), rtol=(STEP / 0.004) ** 2 * 1.1, atol=1e-9)


def test_a_clipped_tail_has_no_slope(spectra) -> None:
    middle = float(np.median(spectra[:, 1]))
    inputs = torch.tensor(spectra, requires_grad=True)
    differentiable(lambda s: np.clip(s, None, middle))(inputs).sum().backward()
    clear = np.abs(spectra - middle) > 2 * STEP
    expected = np.where(spectra < middle, 1.0, 0.0)
    np.testing.assert_allclose(inputs.grad.numpy()[clear], expected[clear])


@pytest.mark.slow
def test_an_index_with_a_jump_is_explained_to_the_end() -> None:
    """CIcyano is 0 until the spectrum dips at 620 nm, then CI at once: 620 and 665 nm bring the jump."""
    before = np.array([[0.012, 0.0180, 0.0085, 0.0060, 0.0110]])
    after = np.array([[0.012, 0.0060, 0.0085, 0.0060, 0.0110]])
    jump = cicyano(after, BANDS_NM)[0]
    assert cicyano(before, BANDS_NM)[0] == 0
    index = differentiable(lambda s: 100 * cicyano(s, BANDS_NM)[:, None])
    found = integrated_gradients(lambda s: index(s)[:, 0], after, before)
    assert found.bands[0, 1] == pytest.approx(100 * jump, rel=0.08)


def test_many_heads_are_what_each_is_alone(spectra) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.GELU(), torch.nn.Linear(8, 3)).double()
    weights = np.random.default_rng(1).normal(size=(4, 3))
    reference = np.full_like(spectra, 0.01)

    def columns(s: torch.Tensor) -> torch.Tensor:
        return network(200 * s)

    together = path_gradients(columns, spectra, reference, weights)
    for head, found in zip(weights, together, strict=True):
        alone = integrated_gradients(lambda s, head=head: columns(s) @ torch.tensor(head), spectra, reference)
        np.testing.assert_allclose(found, alone.bands, atol=1e-5)
        assert np.abs(alone.bands).max() > 0.01


def test_path_differences_are_the_integrated_gradients_of_each_column(spectra) -> None:
    reference = np.full_like(spectra, 0.01)

    def columns(s: np.ndarray) -> np.ndarray:
        return np.column_stack([pci(s, BANDS_NM), pc_ratio(s, BANDS_NM)])

    found = path_differences(columns, spectra, reference)
    change = columns(spectra) - columns(reference)
    np.testing.assert_allclose(found.sum(axis=2), change.T, rtol=2e-3, atol=1e-9)
    np.testing.assert_allclose(found[0, :, 1], -(spectra[:, 1] - 0.01), rtol=1e-9)  # PCI falls with R620
