"""Blends of ridge regressions: what they read, learn and answer."""

from dataclasses import replace

import numpy as np
import pytest

from spectm.data.patches import Patches
from spectm.errors import BandNotFoundError, TrainingError
from spectm.evaluation.run import EvaluationSettings
from spectm.spectral.indices import ndci
from spectm.training.blend import Blend, Member, spectral_views
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from tests.study import BANDS_NM, Study

RNG = np.random.default_rng(0)
N = 60
DATES = np.repeat([f"2024-07-{day:02d}" for day in range(1, 13)], 5)
COLUMNS = RNG.normal(size=(N, 4))
USUAL = np.sin(np.arange(N) / 5)


def test_views_are_of_the_bands_that_can_be_trusted(study: Study) -> None:
    views = spectral_views(study.patches)
    assert set(views) == {"bands", "indices"}
    assert views["bands"].shape == (study.patches.n_samples, (BANDS_NM >= 500).sum())
    spectrum = study.patches.mean_spectrum()
    np.testing.assert_array_equal(views["bands"][0], spectrum[0, BANDS_NM >= 500])
    wanted = ndci(spectrum[:3], BANDS_NM)
    assert any(np.allclose(column[:3], wanted) for column in views["indices"].T)
    assert np.isnan(views["bands"][5]).all()  # the empty patch


def test_the_embedding_is_a_view_of_valid_patches(study: Study, tiny_settings: EvaluationSettings) -> None:
    fresh = untrained(pretraining_data([study.patches]), tiny_settings, seed=0)
    embedded = spectral_views(study.patches, fresh.encoder)["embedding"]
    assert np.isnan(embedded[5]).all()
    assert np.isfinite(np.delete(embedded, 5, axis=0)).all()


def test_bands_below_500_nm_are_not_enough(study: Study) -> None:
    blue = BANDS_NM < 500
    patches: Patches = replace(study.patches, Rrs=study.patches.Rrs[:, blue], wavelength=BANDS_NM[blue])
    with pytest.raises(BandNotFoundError, match=r"wanted bands from 500 nm, found 5 bands up to 480 nm"):
        spectral_views(patches)


def test_one_member_for_each_view_and_prior() -> None:
    views = {"bands": COLUMNS, "indices": COLUMNS}
    with_season = Blend(("bands", "indices"), seasonal=True).fit(views, USUAL, USUAL, DATES)
    assert [(m.view, m.departs) for m in with_season.members_] == [
        ("bands", False),
        ("bands", True),
        ("indices", False),
        ("indices", True),
    ]
    without = Blend(("bands",), seasonal=False).fit(views, USUAL, USUAL, DATES)
    assert [m.departs for m in without.members_] == [False]


def test_a_line_is_found_and_the_members_are_averaged() -> None:
    """One member knows the climatology, which is of no use here; both find the line, so does their mean."""
    y = 0.5 + COLUMNS @ [0.3, 0.0, -0.2, 0.1]
    blend = Blend(("bands",), seasonal=True).fit({"bands": COLUMNS}, y, np.zeros(N), DATES)
    new = RNG.normal(size=(7, 4))
    found = blend.predict({"bands": new}, np.zeros(7))
    np.testing.assert_allclose(found, 0.5 + new @ [0.3, 0.0, -0.2, 0.1], atol=0.01)
    assert blend.spread_ < 0.02


def test_the_prior_shows_in_half_of_the_answer() -> None:
    """Labels that are the climatology: the departing member adds what is usual, the other knows a mean."""
    noise = RNG.normal(size=(N, 4))
    blend = Blend(("bands",), seasonal=True).fit({"bands": noise}, USUAL, USUAL, DATES)
    found = blend.predict({"bands": noise[:1]}, np.array([1.0])) - blend.predict(
        {"bands": noise[:1]}, np.array([0.0])
    )
    assert found == pytest.approx(0.5)


def test_the_spread_is_that_of_dates_not_learned_from() -> None:
    """Labels that belong to their dates alone: nothing can be learned, whatever fits the training rows."""
    of_date = np.repeat(RNG.normal(size=12), 5)
    columns = np.repeat(RNG.normal(size=(12, 40)), 5, axis=0)
    blend = Blend(("bands",), seasonal=False).fit({"bands": columns}, of_date, np.zeros(N), DATES)
    assert blend.spread_ > 0.7 * of_date.std()


def test_indices_are_cut_and_gaps_filled() -> None:
    columns = COLUMNS.copy()
    columns[3, 0] = np.nan
    member = Member("indices", departs=False).fit(columns, COLUMNS[:, 0], np.zeros(N), DATES)
    usual = np.median(COLUMNS, axis=0, keepdims=True)
    wild, gap = usual.copy(), usual.copy()
    wild[0, 0], gap[0, 0] = 1e9, np.nan
    largest = member.predict(wild, np.zeros(1))
    assert largest == pytest.approx(np.percentile(COLUMNS[:, 0], 98), abs=0.3)
    assert member.predict(gap, np.zeros(1)) == pytest.approx(np.median(COLUMNS[:, 0]), abs=0.1)


def test_nothing_below_detection_is_answered_and_nothing_without_a_spectrum() -> None:
    y = np.full(N, -0.5) + COLUMNS[:, 0]
    blend = Blend(("bands",), seasonal=False).fit({"bands": COLUMNS}, y, np.zeros(N), DATES)
    dark, unseen = np.array([[-9.0, 0, 0, 0]]), np.full((1, 4), np.nan)
    found = blend.predict({"bands": np.vstack([dark, unseen])}, np.zeros(2))
    assert found[0] == -1.0
    assert np.isnan(found[1])


def test_rows_without_a_spectrum_or_a_label_are_refused() -> None:
    columns = COLUMNS.copy()
    columns[4] = np.nan
    with pytest.raises(TrainingError, match="60 rows, 1 without a valid pixel and 0 labels"):
        Blend(("bands",), seasonal=False).fit({"bands": columns}, USUAL, USUAL, DATES)
