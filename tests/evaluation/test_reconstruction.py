from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lightning_fabric import Fabric
from scipy.interpolate import CubicSpline

from spectm.data.patches import Patches
from spectm.data.splits import excluded_by
from spectm.errors import LeakageError
from spectm.evaluation import protocol
from spectm.evaluation.reconstruction import (
    METHODS,
    HeldOut,
    _components,
    _ridge,
    from_lines,
    reconstruct,
    reconstruction_scores,
)
from spectm.evaluation.run import EvaluationSettings
from spectm.evaluation.scopes import blind_sources, scopes
from spectm.evaluation.study import EvaluationConfig, prepared
from spectm.model.masking import token_layout
from spectm.spectral.windows import Window, WindowSet
from tests.study import BANDS_NM, FIRST, IN_WINDOW

DAY = np.timedelta64(1, "D")
LAST_WINDOW = BANDS_NM >= 695


def series(spectra: np.ndarray, days: np.ndarray) -> Patches:
    """One single pixel for each line of `spectra`."""
    n = len(spectra)
    return Patches(
        Rrs=spectra.astype(np.float32)[..., None, None],
        wavelength=BANDS_NM,
        time=(FIRST + days).astype("datetime64[ns]") + np.timedelta64(18, "h"),
        station=np.array([f"S{number % 3}" for number in range(n)]),
        latitude=np.full(n, 41.7),
        longitude=np.full(n, -83.3),
        source="made for a test",
    )


def low_rank(n: int, seed: int) -> np.ndarray:
    """Spectra that two numbers make: no window can hold anything that the visible bands do not tell."""
    rng = np.random.default_rng(seed)
    shapes = np.stack([np.exp(-(((BANDS_NM - nm) / 70) ** 2)) for nm in (540, 650)])
    return 0.004 + rng.uniform(0.001, 0.01, (n, 2)) @ shapes


@pytest.fixture
def days() -> np.ndarray:
    return np.repeat(np.arange(0, 60, 4), 3)


def divided(patches: Patches, day: int) -> tuple[Patches, np.ndarray]:
    """What may be learned from when the overpasses of one day are tested, and their time."""
    test_times = (FIRST + np.array([day])).astype("datetime64[ns]") + np.timedelta64(18, "h")
    return patches.select(np.abs(patches.time - test_times[0]) > np.timedelta64(60, "h")), test_times


@pytest.fixture
def filled(tiny_settings: EvaluationSettings, days: np.ndarray, fabric: Fabric):
    """Fill in the overpasses of day 28."""

    def fill(spectra: np.ndarray, *, guard_nm: float = 0.0, settings=tiny_settings) -> HeldOut:
        patches = series(spectra, days)
        sources, times = divided(patches, 28)
        return reconstruct(fabric, [sources], patches, times, settings, guard_nm=guard_nm, seed=0)

    return fill


def test_linear_methods_recover_what_two_numbers_make(filled, days: np.ndarray) -> None:
    spectra = low_rank(days.size, seed=0)
    held_out = filled(spectra)
    np.testing.assert_allclose(held_out.observed, spectra[days == 28], rtol=1e-6)
    assert held_out.date.tolist() == ["2024-07-01"] * 3
    for method in ("ridge", "pca"):
        found = held_out.inferred[method]
        assert np.isnan(found[:, ~IN_WINDOW]).all()
        np.testing.assert_allclose(found[:, IN_WINDOW], spectra[days == 28][:, IN_WINDOW], rtol=2e-5)


@pytest.mark.slow
def test_linear_methods_do_not_read_hidden_bands(filled, days: np.ndarray) -> None:
    spectra = low_rank(days.size, seed=0) * np.random.default_rng(1).normal(
        1, 0.02, (days.size, BANDS_NM.size)
    )
    before = filled(spectra)
    spectra[np.ix_(days == 28, IN_WINDOW)] *= 1.7
    after = filled(spectra)
    for method in ("spectm", "ridge", "pca", "spline"):
        np.testing.assert_array_equal(before.inferred[method], after.inferred[method])
    assert np.abs(after.observed - before.observed)[:, IN_WINDOW].min() > 0


@pytest.mark.slow
@pytest.mark.parametrize("guard_nm", [0.0, 5.0])
def test_spline_runs_through_the_visible_bands(filled, days: np.ndarray, guard_nm: float) -> None:
    spectra = low_rank(days.size, seed=2)
    held_out = filled(spectra, guard_nm=guard_nm)
    guards = np.isin(BANDS_NM, [613, 643, 658, 683, 693]) if guard_nm else np.zeros_like(IN_WINDOW)
    np.testing.assert_array_equal(held_out.layout.guard, guards)
    visible = ~IN_WINDOW & ~guards
    interior = IN_WINDOW & ~LAST_WINDOW
    tested = spectra[days == 28].astype(np.float32)
    wanted = [CubicSpline(BANDS_NM[visible], line[visible])(BANDS_NM[interior]) for line in tested]
    found = held_out.inferred["spline"]
    np.testing.assert_allclose(found[:, interior], wanted, rtol=1e-6)
    assert np.isnan(found[:, ~interior]).all()  # nor is the last window reached by extrapolation
    for method in ("spectm", "ridge", "pca"):
        np.testing.assert_array_equal(np.isfinite(held_out.inferred[method]).all(axis=0), IN_WINDOW)


def test_spline_is_exact_for_a_cubic(filled, days: np.ndarray) -> None:
    x = (BANDS_NM - 560) / 160
    spectra = np.random.default_rng(3).uniform(0.5, 1, (days.size, 4)) @ np.stack([x**0, x, x**2, x**3]) / 100
    held_out = filled(spectra)
    interior = IN_WINDOW & ~LAST_WINDOW
    np.testing.assert_allclose(
        held_out.inferred["spline"][:, interior], spectra[days == 28][:, interior], atol=1e-7
    )


@pytest.mark.slow
def test_the_mask_is_targeted_whatever_the_settings_say(filled, days, tiny_settings) -> None:
    spectra = low_rank(days.size, seed=4)
    odd = replace(tiny_settings, masking=replace(tiny_settings.masking, strategy="none", guard_nm=9.0))
    np.testing.assert_array_equal(
        filled(spectra, settings=odd).inferred["spectm"], filled(spectra).inferred["spectm"]
    )


def test_leaks_are_refused(tiny_settings: EvaluationSettings, days: np.ndarray, fabric: Fabric) -> None:
    patches = series(low_rank(days.size, seed=5), days)
    _, times = divided(patches, 28)
    with pytest.raises(LeakageError, match="would enter reconstruction"):
        reconstruct(fabric, [patches], patches, times, tiny_settings, guard_nm=0.0, seed=0)


# Bands without spread


def test_ridge_and_components_pass_over_constant_bands() -> None:
    """Of three visible bands one is constant; hidden are twice another of them, and a constant band."""
    varied = np.array([1.0, 2, 3, 4, 5])
    visible = np.stack([varied, np.full(5, 0.3), np.array([2.0, 1, 2, 1, 2])], axis=1)
    hidden = np.stack([2 * varied, np.full(5, 0.7)], axis=1)
    for method, setting in ((_ridge, 1e-9), (_components, 2)):
        infer = method(visible, hidden, setting)
        for elsewhere in (0.3, 50.0):  # in the constant band of a new spectrum
            found = infer(np.array([[6.0, elsewhere, 1.0]]))
            np.testing.assert_allclose(found, [[12.0, 0.7]], rtol=1e-7)


def test_ridge_by_hand() -> None:
    """Standardised -1 and 1, with a penalty of 2: half of the least-squares slope, around a mean of 5."""
    infer = _ridge(np.array([[1.0, 7], [3, 7]]), np.array([[4.0], [6]]), 2.0)
    np.testing.assert_allclose(infer(np.array([[1.0, 7], [2, 0], [5, 9]])), [[4.5], [5], [6.5]])


def test_a_constant_band_has_no_correlation(block: HeldOut) -> None:
    """It is left out of the mean over bands; a constant guess at a band that varies counts as 0."""
    observed, ridge, pca = (
        values.copy() for values in (block.observed, block.inferred["ridge"], block.inferred["pca"])
    )
    observed[:, 1], pca[:, 2] = 2.0, 2.0
    scores = reconstruction_scores(
        [replace(block, observed=observed, inferred=block.inferred | {"ridge": ridge, "pca": pca})]
    ).set_index(["window", "method"])
    of_other = np.corrcoef([2, 2, 1, 5], [3, 1, 3, 3])[0, 1]
    assert scores.loc[("610-620 nm", "ridge"), "r_band"] == pytest.approx(of_other)
    assert scores.loc[("610-620 nm", "pca"), "r_band"] == 0


def test_a_window_without_spread_has_an_error_and_no_more(block: HeldOut) -> None:
    observed = np.where(block.layout.window == 0, 2.0, block.observed)
    ridge = np.where(block.layout.window == 0, 2.0, block.inferred["ridge"])
    scores = reconstruction_scores(
        [replace(block, observed=observed, inferred=block.inferred | {"ridge": ridge})]
    )
    line = scores.set_index(["window", "method"]).loc[("610-620 nm", "ridge")]
    assert line["rmse"] == 0
    assert line[["r", "r_band", "rmse_ratio", "rmse_ratio_low", "rmse_ratio_high"]].isna().all()


# Blocks


def test_each_patch_is_scored_in_one_block(study, tiny_settings) -> None:
    """Overpasses of a Sunday serve both the samples of the next day and those eight days later."""
    found = scopes(study.tasks, "leave-date-out", tiny_settings.evaluation)
    parts = protocol._block_patches(study.patches, found)
    given = [(part, scope.test_times) for part, scope in zip(parts, found, strict=True)]
    times = np.concatenate([patches.time for patches, _ in given])
    stations = np.concatenate([patches.station for patches, _ in given])
    assert len(given) == 5
    wanted = zip(study.patches.time, study.patches.station, strict=True)
    assert sorted(zip(times, stations, strict=True)) == sorted(wanted)
    near = [excluded_by(study.patches.time, test_times).sum() for _, test_times in given]
    assert sum(near) > study.patches.n_samples  # so that some could have been scored twice
    for patches, test_times in given:
        assert excluded_by(patches.time, test_times).all()  # nothing near them was learned from


@pytest.mark.slow
def test_one_pretraining_serves_reconstruction_and_regression(study, tiny_settings, fabric) -> None:
    """With the guard of the settings the model of the first seed fills in; the result is the same."""
    config = EvaluationConfig(splits=("leave-date-out",), models=("spectm",), contexts=("none",), seeds=2)
    whole = prepared(study.patches, study.labels, study.unlabelled, tiny_settings, config)
    jobs = dict(protocol._family_jobs(whole))
    assert len(jobs) == 5 * (2 + 1)
    blocks = scopes(whole.tasks, "leave-date-out", config)
    scope, part = blocks[1], protocol._block_patches(study.patches, blocks)[1]
    sources = blind_sources(study.patches, study.unlabelled, scope)
    given = (fabric, sources, part, scope.test_times, tiny_settings)
    own = {guard: reconstruct(*given, guard_nm=guard, seed=0) for guard in (0.0, 5.0)}
    shared, further = (
        jobs[name]().further for name in ("leave-date-out.block-1.spectm.0", "reconstruction.5.block-1")
    )
    assert set(shared) == {"curves", "reconstruction"}
    assert "reconstruction" not in jobs["leave-date-out.block-1.spectm.1"]().further
    for guard, result in ((0.0, shared), (5.0, further)):
        lines = pd.DataFrame(result["reconstruction"])
        (found,) = from_lines(lines, tiny_settings, study.patches.wavelength)
        assert found.guard_nm == guard
        np.testing.assert_array_equal(found.observed, own[guard].observed)
        np.testing.assert_array_equal(found.date, own[guard].date)
        np.testing.assert_array_equal(found.layout.guard, own[guard].layout.guard)
        for method in METHODS:
            np.testing.assert_array_equal(found.inferred[method], own[guard].inferred[method])


# Scores


@pytest.fixture
def block() -> HeldOut:
    """Four spectra of two dates; the first window has a band on either side, the second is the last."""
    wavelength = np.array([600.0, 610, 620, 630, 640, 650])
    windows = WindowSet(
        name="two",
        windows=(
            Window(name="one", low_nm=608, high_nm=622, source="test"),
            Window(name="two", low_nm=638, high_nm=660, source="test"),
        ),
        source="test",
    )
    layout = token_layout(wavelength, windows, guard_nm=0, bands_per_token=2)
    observed = np.array([[9, 1, 2, 9, 3, 4], [9, 2, 2, 9, 4, 4], [9, 3, 1, 9, 5, 7], [9, 4, 5, 9, 6, 5.0]])
    error = np.array([1.0, -1, 2, -2])[:, None]
    hidden = layout.window >= 0
    inferred = {"ridge": observed + error, "pca": observed + 2 * error, "spectm": observed + error / 4}
    inferred["spline"] = np.where(layout.window == 0, observed + 3 * error, np.nan)
    inferred = {name: np.where(hidden, values, np.nan) for name, values in inferred.items()}
    dates = np.array(["2024-06-03", "2024-06-03", "2024-06-10", "2024-06-10"])
    return HeldOut(0.0, layout, dates, observed, inferred)


def test_scores_by_hand(block: HeldOut) -> None:
    scores = reconstruction_scores([block]).set_index(["window", "method"])
    assert set(scores.index.get_level_values("window")) == {"610-620 nm", "640-650 nm", "interior", "all"}
    # Errors of 1, 1, 2, 2 in every band.
    assert scores.loc[("all", "ridge"), "rmse"] == pytest.approx(np.sqrt(2.5))
    for method, ratio in (("ridge", 1.0), ("pca", 2.0), ("spectm", 0.25)):
        line = scores.loc[("all", method)]
        assert (line["n_spectra"], line["n_bands"]) == (4, 4)
        for name in ("rmse_ratio", "rmse_ratio_low", "rmse_ratio_high"):
            assert line[name] == pytest.approx(ratio)
    one = scores.loc[("610-620 nm", "ridge")]
    observed, inferred = np.array([1, 2, 3, 4, 2, 2, 1, 5]), np.array([2, 1, 5, 2, 3, 1, 3, 3])
    assert one["r"] == pytest.approx(np.corrcoef(observed, inferred)[0, 1])
    per_band = [np.corrcoef(observed[part], inferred[part])[0, 1] for part in (slice(4), slice(4, 8))]
    assert one["r_band"] == pytest.approx(np.mean(per_band))
    assert one["n_bands"] == 2


def test_ridge_is_exactly_the_unit(block: HeldOut) -> None:
    scores = reconstruction_scores([block, replace(block, guard_nm=5.0)])
    ridge = scores[scores["method"] == "ridge"]
    assert len(ridge) == 2 * 4
    assert (ridge[["rmse_ratio", "rmse_ratio_low", "rmse_ratio_high"]] == 1).all(axis=None)


def test_the_interval_is_over_dates(block: HeldOut) -> None:
    """Pca errs 2 on the first date and 1 on the second, where ridge errs 1: draws of dates give 1 to 2."""
    observed, hidden = block.observed, block.layout.window >= 0
    flat = np.where(hidden, observed + 1, np.nan)
    uneven = np.where(hidden, observed + np.array([2.0, -2, 1, -1])[:, None], np.nan)
    scores = reconstruction_scores([replace(block, inferred=block.inferred | {"ridge": flat, "pca": uneven})])
    line = scores.set_index(["window", "method"]).loc[("all", "pca")]
    assert line["rmse_ratio"] == pytest.approx(np.sqrt(2.5))
    assert (line["rmse_ratio_low"], line["rmse_ratio_high"]) == (pytest.approx(1), pytest.approx(2))


def test_the_spline_is_absent_where_it_does_not_reach(block: HeldOut) -> None:
    scores = reconstruction_scores([block])
    spline = scores[scores["method"] == "spline"].set_index("window")
    assert set(spline.index) == {"610-620 nm", "interior"}
    assert spline.loc["interior", "rmse_ratio"] == pytest.approx(3)
    assert spline.loc["interior", "n_bands"] == 2


def test_blocks_are_pooled(block: HeldOut) -> None:
    half = [
        replace(
            block,
            date=block.date[part],
            observed=block.observed[part],
            inferred={name: values[part] for name, values in block.inferred.items()},
        )
        for part in (slice(0, 1), slice(1, 4))
    ]
    one, other = reconstruction_scores([block]), reconstruction_scores(half)
    assert one.equals(other)


@pytest.mark.parametrize(
    ("low_nm", "high_nm", "interior"), [(638, 660, False), (590, 612, False), (608, 632, True)]
)
def test_one_window_at_either_end(block: HeldOut, low_nm: float, high_nm: float, interior: bool) -> None:
    """Without a window that has visible bands on both sides there is nothing to call interior."""
    window = Window(name="one", low_nm=low_nm, high_nm=high_nm, source="test")
    windows = WindowSet(name="one", windows=(window,), source="test")
    layout = token_layout(block.layout.wavelength, windows, guard_nm=0, bands_per_token=2)
    rng = np.random.default_rng(0)
    inferred = {m: block.observed + rng.normal(size=block.observed.shape) for m in block.inferred}
    observed = block.observed + rng.normal(size=block.observed.shape)
    scores = reconstruction_scores([replace(block, layout=layout, observed=observed, inferred=inferred)])
    assert ("interior" in set(scores["window"])) is interior
