"""Explanations of a small model: they add up, come in parts, and find what was put in."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.data.patches import Patches
from spectm.errors import AttributionError, LabelError, PatchError
from spectm.evaluation import agreement as agreement_module
from spectm.evaluation import attributed, hidden_windows
from spectm.evaluation.agreement import Agreement, shuffled_dates, window_test
from spectm.evaluation.attributed import (
    attribute,
    calendar_share,
    layout_of,
    mean_attribution,
    reference_spectra,
)
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.explanation import Explanation, explain
from spectm.evaluation.explanation_page import USED, write_explanation
from spectm.evaluation.hidden_windows import fill_in, mean_occlusion
from spectm.evaluation.located import find_patch
from spectm.evaluation.model_explanation_page import write_model_explanation
from spectm.evaluation.run import EvaluationSettings
from spectm.model.encoder import EncoderConfig
from spectm.training.forecast import usual_at
from spectm.training.forecaster import Forecaster, train_forecaster
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.released import load
from spectm.trust.agreement import window_agreement
from spectm.trust.thresholds import CAVEAT
from tests.study import IN_WINDOW, Study
from tools.attribution import (
    SEEN,
    agreements,
    changes,
    in_august,
    lake_studies,
    patches_of,
    pigment_model,
    pigment_study,
    pooled_p,
    waters,
    window_row,
)

DAY = "2024-07-08"


@pytest.fixture(scope="module")
def model(study: Study) -> Forecaster:
    """Two encoders that were never trained, blends on half of the rows, calibrated."""
    settings = EvaluationSettings(encoder=EncoderConfig(width=16, depth=1, heads=2))
    data = pretraining_data([study.patches])
    fresh = [untrained(data, settings, seed=seed) for seed in (0, 1)]
    task = study.tasks["current"]
    record = replace(
        Record.fit(surface_samples(study.labels), last_year=2023), memory=Memory(days=10.0, spread=0.4)
    )
    rows = task.rows
    trained = train_forecaster(fresh, settings, study.patches, rows, task.y, record, {"files": []})
    return calibrate_forecaster(trained, study.patches, study.tasks)


@pytest.fixture(scope="module")
def found(study: Study, model: Forecaster) -> Explanation:
    return explain(model, study.patches, find_patch(study.patches, DAY, station="B"))


def some(patches: Patches, n: int = 6) -> Patches:
    return patches.select(np.flatnonzero(patches.valid.any(axis=(1, 2)))[:n])


@pytest.mark.slow
def test_calendar_and_spectrum_make_the_estimate(study: Study, model: Forecaster) -> None:
    """Also of patches with a gap, whose pixels lend different bands."""
    patches = study.patches
    expected, _ = model.estimate(patches)
    usual = usual_at(model.record.climatology, patches.time, patches.station)
    spectra = patches.mean_spectrum()
    each = []
    for number, blend in enumerate(model.blends):
        with torch.no_grad():
            pixels = attributed.offsets(patches, spectra)
            said = attributed.spectral_part(model, number)(torch.from_numpy(spectra), pixels).numpy()
        each.append(np.maximum(said + calendar_share(blend) * usual, -1.0))
    np.testing.assert_allclose(np.mean(each, axis=0), expected, atol=1e-5)
    assert np.isnan(expected).sum() == 1
    assert calendar_share(model.blends[0]) == 0.5


@pytest.mark.slow
def test_bands_sum_to_what_they_explain_whatever_the_day(study: Study, model: Forecaster) -> None:
    patches = some(study.patches)
    found = attribute(model, patches)
    assert found.complete().all()
    assert np.abs(found.bands.sum(axis=1)).max() > 0.05
    later = attribute(model, replace(patches, time=patches.time + np.timedelta64(40, "D")))
    np.testing.assert_array_equal(later.bands, found.bands)
    assert found.spread.shape == found.bands.shape
    assert (found.spread[:, IN_WINDOW] > 0).any()


@pytest.mark.slow
def test_the_reference_is_as_bright_as_the_spectrum(study: Study, model: Forecaster) -> None:
    spectra = some(study.patches).mean_spectrum()
    nm = study.patches.wavelength
    bright = (nm >= 500) & (nm <= 700) & ~IN_WINDOW
    found = reference_spectra(model, spectra)
    np.testing.assert_allclose(found[:, bright].mean(axis=1), spectra[:, bright].mean(axis=1))
    deeper = np.where(IN_WINDOW, 0.5 * spectra, spectra)  # what a window shows does not move it
    np.testing.assert_array_equal(reference_spectra(model, deeper), found)
    np.testing.assert_allclose(found / found[:, :1], np.broadcast_to(found[0] / found[0, 0], found.shape))


@pytest.mark.slow
def test_filling_in_touches_the_windows_alone(study: Study, model: Forecaster) -> None:
    patches = some(study.patches)
    found, spectra = fill_in(model, patches), patches.mean_spectrum()
    assert found.shape == (2, 6, 33)
    np.testing.assert_array_equal(found[:, :, ~IN_WINDOW], np.stack([spectra[:, ~IN_WINDOW]] * 2))
    hidden = np.where(IN_WINDOW[:, None, None], patches.Rrs * 3, patches.Rrs)
    np.testing.assert_array_equal(
        fill_in(model, replace(patches, Rrs=hidden))[:, :, IN_WINDOW], found[:, :, IN_WINDOW]
    )


@pytest.mark.slow
@pytest.mark.parametrize("lead_days", [0.0, 8.0])
def test_parts_lead_from_the_calendar_to_the_answer(
    study: Study, model: Forecaster, lead_days: float
) -> None:
    row = find_patch(study.patches, DAY, station="B")
    found = explain(model, study.patches, row, lead_days=lead_days)
    expected = model.outlook(study.patches, (lead_days,)).estimates[0]
    assert found.start + sum(part.change for part in found.parts) == pytest.approx(
        expected.mean[row], abs=1e-3
    )
    assert found.mean == pytest.approx(expected.mean[row])
    assert found.estimate is not None
    assert found.estimate.interval(0.9)[0] == pytest.approx(expected.interval(0.9)[0][row])
    usual = usual_at(model.record.climatology, study.patches.time[[row]], np.array(["B"]))[0]
    assert found.start + found.parts[0].change == pytest.approx(usual)
    names = [part.name for part in found.parts]
    assert names[:2] == ["the calendar", "an ordinary spectrum"]
    assert names[2:6] == [*(one.name for one in found.windows), "bands outside the windows"]
    assert names[-1] == ("seen before" if lead_days == 0 else "8 days ahead")
    if lead_days == 0:
        alone = explain(model, study.patches.select(np.array([row])), 0)
        assert "seen before" not in [part.name for part in alone.parts]
        assert alone.mean == pytest.approx(model.estimate(study.patches)[0][row])


@pytest.mark.slow
def test_windows_by_window_and_together(study: Study, model: Forecaster, found: Explanation) -> None:
    row = find_patch(study.patches, DAY, station="B")
    assert [one.name for one in found.occluded] == [*(one.name for one in found.windows), "all windows"]
    overpass = found.start + sum(part.change for part in found.parts[: found.n_of_overpass])
    assert found.filled_estimate[0] == pytest.approx(overpass - found.occluded[-1].filled, abs=1e-3)
    # The same by hand: the patch itself with the windows of the reference.
    patch = study.patches.select(np.array([row]))
    moved = np.where(IN_WINDOW, found.attributions.reference[0] - found.attributions.spectra[0], 0.0)
    other = replace(patch, Rrs=(patch.Rrs + moved[None, :, None, None]).astype(np.float32))
    change = model.estimate(patch)[0][0] - model.estimate(other)[0][0]
    assert found.occluded[-1].reference == pytest.approx(change, abs=1e-5)


@pytest.mark.slow
def test_a_whole_map_is_explained_in_parts(
    study: Study, model: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part is larger than asked for, and the sums are those of all at once."""
    sizes = []
    whole = attribute(model, study.patches)

    def watched(model: Forecaster, patches: Patches) -> attributed.Attributions:
        sizes.append(patches.n_samples)
        return attribute(model, patches)

    monkeypatch.setattr(attributed, "attribute", watched)
    found = mean_attribution(model, study.patches, patches_at_once=10)
    assert max(sizes) == 10
    assert found.n_patches == study.patches.n_samples - 1  # one is empty
    seen = np.isfinite(whole.bands).all(axis=1)
    np.testing.assert_allclose(found.mean_size, np.abs(whole.bands[seen]).mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(found.signed, whole.bands[seen].mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(found.size[1], np.abs(whole.each[1][seen]).mean(axis=0), atol=1e-7)


@pytest.mark.slow
def test_windows_are_occluded_over_many_patches(study: Study, model: Forecaster) -> None:
    """What all windows add is the estimate of a spectrum less that with the reference in them."""
    found = mean_occlusion(model, study.patches, patches_at_once=10)
    patches = some(study.patches, study.patches.n_samples)
    spectra = patches.mean_spectrum()
    without = np.where(IN_WINDOW, reference_spectra(model, spectra), spectra)
    pixels = attributed.offsets(patches, spectra)
    windows = model.settings.windows.window_set().windows
    assert found.names == (*(window.name for window in windows), "all windows")
    for number in range(len(model.blends)):
        function = attributed.spectral_part(model, number)
        with torch.no_grad():
            here, there = (function(torch.from_numpy(each), pixels).numpy() for each in (spectra, without))
        assert found.size[number, -1] == pytest.approx(np.abs(here - there).mean(), abs=1e-6)
        assert found.signed[number, -1] == pytest.approx((here - there).mean(), abs=1e-6)
    row = find_patch(study.patches, DAY, station="B")
    single = mean_occlusion(model, study.patches.select(np.array([row])))
    expected = [part.reference for part in explain(model, study.patches, row).occluded]
    np.testing.assert_allclose(single.signed.mean(axis=0), expected, atol=1e-6)


@pytest.mark.slow
def test_without_a_band_in_a_window_nothing_is_occluded(
    study: Study, model: Forecaster, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    few = some(study.patches)
    mean = mean_attribution(model, few)
    outside = replace(layout_of(model), window=np.full_like(layout_of(model).window, -1))
    monkeypatch.setattr(hidden_windows, "layout_of", lambda _: outside)
    found = mean_occlusion(model, few)
    assert (found.names, found.size.shape) == ((), (2, 0))
    path = write_model_explanation(mean, found, None, model, few, tmp_path / "p.html", name="m", file="p.nc")
    assert "What each window says" not in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_labels_that_stay_give_the_model_itself(
    study: Study, model: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A null of unshuffled labels is the observed value, and that is the attribution's."""
    monkeypatch.setattr(agreement_module, "shuffled_dates", lambda dates, rng: np.arange(dates.size))
    task = study.tasks["current"]
    rng = np.random.default_rng(0)
    found = window_test(model, study.patches, task.rows, task.y, rng=rng, shuffles=2, spectra=99)
    np.testing.assert_allclose(found.null, found.observed, rtol=1e-5)  # encoders are in float32
    patches = study.patches.select(np.unique(task.rows["patch"].to_numpy()))
    expected = window_agreement(attribute(model, patches).bands, IN_WINDOW)
    assert found.observed == pytest.approx(float(expected), abs=2e-3)
    assert found.n_spectra == patches.n_samples


@pytest.mark.slow
def test_shuffled_labels_are_another_model(study: Study, model: Forecaster) -> None:
    task = study.tasks["current"]
    found = window_test(
        model, study.patches, task.rows, task.y, rng=np.random.default_rng(0), shuffles=3, spectra=8
    )
    assert found.null.shape == (3,)
    assert (np.abs(found.null - found.observed) > 1e-4).all()
    assert found.effect > 0
    assert (found.n_rows, found.n_dates) == (len(task.rows), 8)


@pytest.mark.slow
def test_other_rows_are_refused(study: Study, model: Forecaster) -> None:
    task = study.tasks["current"]
    with pytest.raises(LabelError, match="found 20 rows: 12 of those are missing and 0 are others"):
        window_test(
            model, study.patches, task.rows.iloc[:20], task.y[:20], rng=np.random.default_rng(0), shuffles=1
        )


def test_whole_dates_change_places() -> None:
    dates = np.array(["a", "a", "a", "b", "b", "b", "c", "c", "c"])[[0, 3, 6, 1, 4, 7, 2, 5, 8]]
    rng = np.random.default_rng(3)
    orders = [shuffled_dates(dates, rng) for _ in range(20)]
    for order in orders:
        assert sorted(order) == list(range(9))
        given = {(date, dates[source]) for date, source in zip(dates, order, strict=True)}
        assert len(given) == 3  # each date gets the labels of one
    assert len({tuple(order) for order in orders}) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"day": DAY, "station": "Z"},
            "wanted a patch of station Z, found none .* there are A, B, C, D",
        ),
        (
            {"day": "2024-07-10", "station": "A"},
            "nearest days with one are 2024-07-07, 2024-07-08, 2024-07-14",
        ),
        ({"day": DAY, "place": (42.7, -83.3)}, r"nearest are D \(104.6 km\), C \(106.8 km\)"),
        ({"day": "2024-05-26", "station": "B"}, "has no pixel with all bands"),
        ({"day": DAY, "station": "A", "clock": "11:00"}, "on 2024-07-08 at 11:00 UTC, found none"),
    ],
)
def test_a_patch_that_is_not_there_names_those_that_are(study: Study, asked, message) -> None:
    patches = study.patches
    if "no pixel" in message:
        asked = asked | {"day": str(patches.time[5])[:10]}
    with pytest.raises(PatchError, match=message):
        find_patch(patches, **asked)


@pytest.mark.slow
def test_a_patch_by_place_and_by_clock(study: Study) -> None:
    """A second overpass half an hour later: the clock tells them apart."""
    patches = study.patches
    row = find_patch(patches, DAY, station="B")
    assert patches.station[row] == "B"
    place = (patches.latitude[row] + 0.001, patches.longitude[row])
    assert find_patch(patches, DAY, place=place) == row
    time = patches.time.copy()
    other = find_patch(patches, "2024-07-07", station="B")
    time[other] = time[row] + np.timedelta64(30, "m")
    twice = replace(patches, time=time)
    with pytest.raises(PatchError, match=r"found 2 in .* at 18:\d\d, 18:\d\d UTC; choose"):
        find_patch(twice, DAY, station="B")
    assert find_patch(twice, DAY, station="B", clock="18:30") == other


@pytest.mark.slow
def test_a_page_holds_all_and_escapes_it(study: Study, model: Forecaster, found, tmp_path) -> None:
    made_up = replace(study.patches, simulated=True)
    path = tmp_path / "deep" / "page.html"
    write_explanation(
        replace(found, place="<b>B</b>"), model, made_up, path, name="<i>m</i>", file="<u>p.nc</u>"
    )
    page = path.read_text(encoding="utf-8")
    assert "<b>B</b>" not in page
    assert "<i>m</i>" not in page
    assert "<u>" not in page
    assert "&lt;b&gt;B&lt;/b&gt;, 2024-07-08" in page
    assert "The patches are simulated" in page
    assert page.count("<img ") == 4
    assert page.count('alt="Simulated. ') == 4
    assert page.count("<table>") == 4
    assert "90 % interval" in page
    assert "Season alone says" in page
    for words in (CAVEAT, USED):
        assert words.replace("ug/L", "µg/L") in page
    assert "http" not in page.replace("http-equiv", "")  # nothing from elsewhere


@pytest.mark.slow
def test_a_page_says_what_is_missing(study: Study, model: Forecaster, tmp_path) -> None:
    """No calibration, no in-filling, and an attribution that is not complete."""
    bare = replace(model, calibration={})
    alone = study.patches.select(np.array([find_patch(study.patches, DAY, station="B")]))
    found = explain(bare, alone, 0)
    assert found.estimate is None
    one = found.attributions
    short = replace(one, members=tuple(replace(each, bands=0.5 * each.bands) for each in one.members))
    cut = replace(found, attributions=short, filled=found.filled[:0])
    assert not short.complete()[0]
    write_explanation(cut, bare, study.patches, tmp_path / "page.html", name="m", file="p.nc")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not calibrated" in page
    assert "90 % interval" not in page
    assert 'class="origin"' not in page
    assert "This attribution is incomplete" in page
    assert "can&#39;t fill in its windows" in page


@pytest.mark.slow
def test_the_page_of_a_model(study: Study, model: Forecaster, tmp_path) -> None:
    task = study.tasks["current"]
    some_patches = some(study.patches)
    mean = mean_attribution(model, some_patches)
    tested = window_test(
        model, study.patches, task.rows, task.y, rng=np.random.default_rng(0), shuffles=3, spectra=4
    )
    path = tmp_path / "page.html"
    occlusion = mean_occlusion(model, some_patches)
    write_model_explanation(mean, occlusion, tested, model, some_patches, path, name="m", file="p.nc")
    page = path.read_text(encoding="utf-8")
    assert "over 6 spectra" in page
    assert f"Agreement with the windows: {tested.observed:.2f}" in page
    assert page.count("<img ") == 2
    for name, sizes in zip(occlusion.names, occlusion.size.T, strict=True):
        assert re.search(rf"<t[dh][^>]*>{name}</t[dh]>\s*<td[^>]*>{sizes.mean():.3f}</td>", page)
    write_model_explanation(mean, occlusion, None, model, some_patches, path, name="m", file="p.nc")
    assert "agreement with the windows was not tested" in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_other_bands_can_not_be_explained(study: Study, model: Forecaster) -> None:
    with pytest.raises(ValueError, match="trained on other bands"):
        attribute(model, replace(study.patches, wavelength=study.patches.wavelength + 2.0))
    assert issubclass(AttributionError, ValueError)


def test_noise_does_not_follow_what_is_looked_for() -> None:
    """Neither that of the labels nor that of brightness: a model would find the pigment in it."""
    patches, y, _ = pigment_study(0, 480)
    contents = waters(0, 480)
    pigment = np.log10(contents["phycocyanin"])
    clear = patches_of(contents, np.random.default_rng(0), noise=0.0).mean_spectrum()
    brightness = (patches.mean_spectrum() / clear).mean(axis=1)
    assert brightness.std() == pytest.approx(0.02, rel=0.3)
    for error in (np.where(y > -1, y - pigment + 0.9, 0.0), brightness):
        assert abs(np.corrcoef(error, pigment)[0, 1]) < 0.15  # three standard errors


@pytest.mark.slow
def test_what_raises_the_estimate_and_what_does_not() -> None:
    """Labels follow phycocyanin: three times of it raise the estimate, twice the sediment does not."""
    fresh = waters(1000, 120)
    moved = changes(pigment_model(), fresh)
    pigment, seen = moved["phycocyanin times 3"], fresh["phycocyanin"] > SEEN
    assert (pigment[seen] > 0).mean() > 0.95
    assert np.median(pigment[seen]) == pytest.approx(np.log10(3.0), abs=0.12)
    sediment = moved["minerals times 2"]
    assert abs(np.median(sediment)) < 0.05
    assert np.quantile(sediment, 0.9) < np.log10(3.0) / 2
    brighter = moved["brightness times 1.02, the noise"]
    assert 0 < np.abs(brighter).max() < 0.05


@pytest.mark.slow
def test_the_released_model_follows_blooms_and_not_sediment() -> None:
    """Which direction physics asks for, on waters that it never saw; docs/explanations.md has the sizes."""
    fresh = waters(1000, 60)
    seen = fresh["phycocyanin"] > SEEN
    moved = {name: found[seen] for name, found in changes(load("erie-2024"), fresh, in_august).items()}
    bloom = np.median(moved["phycocyanin and chlorophyll of cyanobacteria times 3"])
    assert seen.sum() > 30
    assert (moved["phycocyanin times 3"] > 0).mean() > 0.95
    assert bloom > np.log10(2.0)
    assert abs(np.median(moved["minerals times 2"])) < 0.1 * bloom
    assert np.quantile(np.abs(moved["minerals times 2"]), 0.9) < 0.5 * bloom
    assert np.abs(moved["brightness times 1.02, the noise"]).max() < 0.05


def test_a_line_of_the_table_by_hand() -> None:
    """Means over models with their range, medians of chance, and p of the means."""

    def one(observed: float, null: list[float], effect: float, effect_null: list[float]) -> Agreement:
        tested = {"observed": observed, "null": np.array(null), "p": 0.5}
        moved = {"effect": effect, "effect_null": np.array(effect_null), "effect_p": 0.5}
        return Agreement(**tested, **moved, share_of_bands=0.25, n_spectra=2, n_rows=9, n_dates=3)

    found = [one(0.7, [0.2, 0.4, 0.9], 0.5, [0.9]), one(0.5, [0.5], 0.3, [0.01, 0.02, 0.03])]
    # a third of the means of what chance gives reach 0.6: (0.9 + 0.5) / 2; of the effects all reach 0.4
    cells = "0.60 (0.50 to 0.70) | 0.45 | 0.33 | 0.40 (0.30 to 0.50) | 0.02 to 0.90 in the middle | 1.00"
    assert window_row("made", found) == f"| made, 2 | {cells} |"
    sure = [one(0.7, [0.2], 0.5, [0.1]), one(0.5, [0.5], 0.3, [0.02])]
    assert window_row("made", sure).count("| below 0.001 |") == 2


@pytest.mark.slow
@pytest.mark.long
def test_where_phycocyanin_alone_tells_the_windows_have_more_than_their_share() -> None:
    """Over ten models; the p of a single one can't be small, as the null of a share is wide."""
    found = agreements(map(pigment_study, range(10)))
    assert pooled_p(found)[0] < 0.05
    assert np.mean([one.observed for one in found]) > 0.57  # of a quarter of the bands


@pytest.mark.slow
@pytest.mark.long
def test_on_simulated_lakes_the_windows_move_estimates_beyond_chance() -> None:
    """Over ten lakes. Their share is another matter: all of a bloom's colour goes with its phycocyanin."""
    found = agreements(lake_studies(10))
    assert pooled_p(found)[1] < 0.01
    assert np.mean([one.effect for one in found]) > 0.2  # a factor of 1.6
