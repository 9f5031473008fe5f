"""Familiar spectra: distances by hand, rules one by one, and made-up corruptions of real spectra."""

import json

import numpy as np
import pytest

from spectm.data.patches import read_patches
from spectm.errors import ApplicabilityError
from spectm.evaluation.sureness_corruptions import corruptions
from spectm.trust.applicability import NEW_PLACE, REASONS, Applicability
from spectm.trust.familiar import Familiar
from spectm.trust.shape import RULES, broken_rules

BANDS_NM = np.arange(400.0, 721.0, 5.0)
TOLEDO, BUFFALO = (41.70, -83.40), (42.88, -78.90)  # some 390 km apart


def water(rng, n):
    """Spectra of three things that vary: particles, pigment, CDOM; with a little noise."""
    particles, pigment, cdom = rng.uniform(0.3, 1.5, (3, n, 1))
    green = np.exp(-(((BANDS_NM - 560) / 55) ** 2))
    trough = np.exp(-(((BANDS_NM - 625) / 15) ** 2)) + np.exp(-(((BANDS_NM - 675) / 10) ** 2))
    blue = np.exp(-(BANDS_NM - 400) / 60)
    end = 1 - 0.6 / (1 + np.exp(-(BANDS_NM - 712) / 2))
    clean = 0.004 * particles * (1 + 1.5 * green) * (1 - 0.25 * pigment * trough) * (1 - 0.4 * cdom * blue)
    return clean * end + rng.normal(0, 2e-5, (n, BANDS_NM.size))


@pytest.fixture(scope="module")
def season():
    """150 spectra of 30 dates in June to September, at three places."""
    rng = np.random.default_rng(3)
    date = np.repeat(np.arange(30), 5)
    places = np.array([TOLEDO, (41.75, -83.30), (41.80, -83.35)])[np.arange(150) % 3]
    return {"spectra": water(rng, 150), "dates": date, "day": 152.0 + 4 * date, "places": places}


@pytest.fixture(scope="module")
def fitted(season):
    return Applicability.fit(
        season["spectra"], BANDS_NM, season["dates"], season["day"], places=season["places"]
    )


def one(value):
    return np.array([float(value)])


def test_distance_by_hand():
    # two columns on the line (1, 1), deviations of 1; a third that never varies
    columns = np.column_stack([[-1.0, 1.0, -1.0, 1.0], [-1.0, 1.0, -1.0, 1.0], [7.0, 7.0, 7.0, 7.0]])
    known = Familiar.fit(columns, np.ones(4))
    assert known.centre.tolist() == [0, 0, 7]
    assert np.abs(known.directions[0]) == pytest.approx([0.5**0.5, 0.5**0.5, 0.0])
    assert known.deviation == pytest.approx([2**0.5])
    along, across = known.distance(np.array([[3.0, 3.0, 7.0], [1.0, -1.0, 9.0], [1.0, np.nan, 7.0]]))
    # (3, 3) is 3 * sqrt 2 along; (1, -1) not at all, and 1 off in two columns of three
    assert along == pytest.approx([3.0, 0.0, 1.0], abs=1e-4)
    assert across[1] * known.rest == pytest.approx((2 / 3) ** 0.5, rel=1e-4)
    assert np.isnan(known.distance(np.full((1, 3), np.nan))[0])


def test_dates_count_the_same_in_the_directions():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(40, 3))
    twice = np.vstack([columns, columns[:5], columns[:5]])
    weight = np.concatenate([np.full(5, 1 / 3), np.ones(35), np.full(10, 1 / 3)])
    first, second = Familiar.fit(columns, np.ones(40)), Familiar.fit(twice, weight)
    # centre and scale are of rows; the variance along the directions is not changed by repeats alone
    rows = (columns - second.centre) / second.scale
    assert second.deviation.max() ** 2 == pytest.approx(np.linalg.eigvalsh(rows.T @ rows / 40)[-1])
    assert first.deviation.size == 3


def test_wide_columns_give_the_same_directions():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(12, 30)) * np.linspace(1, 3, 30)
    known = Familiar.fit(columns, np.ones(12))
    z = (columns - known.centre) / known.scale / 12**0.5
    assert known.deviation[::-1] == pytest.approx(np.linalg.svd(z, compute_uv=False)[:10])
    assert known.directions @ known.directions.T == pytest.approx(np.eye(10), abs=1e-9)


BREAKS = {
    "too bright": lambda Rrs: 100 * Rrs,
    "too dark": lambda Rrs: 0.02 * Rrs,
    "negative red": lambda Rrs: Rrs - 0.02 * (BANDS_NM > 630),
    "no green peak": lambda Rrs: 0 * Rrs + 0.03,
    "red edge": lambda Rrs: Rrs + 0.01 * (BANDS_NM > 713),
    "rough": lambda Rrs: Rrs * (1 + 0.4 * (-1.0) ** np.arange(BANDS_NM.size)),
}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_alone(season, name):
    Rrs = season["spectra"]
    assert not broken_rules(Rrs, BANDS_NM)[name].any()
    assert broken_rules(BREAKS[name](Rrs), BANDS_NM)[name].all()
    blind = np.full_like(Rrs, np.nan)
    assert not broken_rules(blind, BANDS_NM)[name].any()


def test_a_rule_breaks_no_other(season):
    Rrs = season["spectra"]
    for name in ("too dark", "red edge", "no green peak", "rough"):
        broken = {other for other, found in broken_rules(BREAKS[name](Rrs), BANDS_NM).items() if found.any()}
        assert broken == {name}


@pytest.mark.slow
def test_share_of_training_dates_that_is_flagged(season, fitted):
    assert 0.03 < fitted.held_out_share <= 0.05
    more = Applicability.fit(season["spectra"], BANDS_NM, season["dates"], season["day"], share=0.2)
    assert 0.17 < more.held_out_share <= 0.2


def test_new_spectra_of_the_same_water(fitted):
    new = water(np.random.default_rng(11), 400)
    found = fitted.flag(new, np.full(400, 200.0))
    assert 0.0 < found.flagged.mean() < 0.1


def test_dates_that_are_left_out_judge_the_limits():
    """Each date looks like no other: judged by itself everything is familiar, by the others nothing is."""
    rng = np.random.default_rng(5)
    date = np.repeat(np.arange(12), 4)
    own = rng.normal(0, 2e-4, (12, BANDS_NM.size))[date]
    spectra = water(rng, 48) + own
    known = Applicability.fit(spectra, BANDS_NM, date, 150.0 + date)
    assert known.limits["detail"] > 1.5 * Familiar.fit(spectra, np.ones(48)).distance(spectra)[1].max()


def test_reasons_one_by_one(season, fitted):
    Rrs, day = season["spectra"][:1], one(200)
    plain = fitted.flag(Rrs, day, places=np.array([TOLEDO]))
    assert not plain.flagged.any()
    assert plain.texts() == [""]
    assert list(plain.reasons) == [
        name for name in REASONS if name not in ("embedding", "embedding detail", "reconstruction")
    ]
    late = fitted.flag(Rrs, one(300))
    assert late.texts() == ["season"]
    assert late.distance["season"][0] == pytest.approx((300 - 268) / 15)
    assert NEW_PLACE not in late.reasons
    gaps = Rrs.copy()
    gaps[:, 10:20] = np.nan
    assert not fitted.flag(gaps, day).flagged.any()
    gaps[:, :20] = np.nan
    assert fitted.flag(gaps, day).texts() == ["missing bands"]
    assert fitted.flag(np.full_like(Rrs, np.nan), day).texts() == ["missing bands"]
    bump = Rrs + 0.001 * np.exp(-(((BANDS_NM - 600) / 6) ** 2))
    assert "detail" in fitted.flag(bump, day).texts()[0]


def test_new_place_is_said_and_sets_no_flag(season, fitted):
    found = fitted.flag(season["spectra"][:1], one(200), places=np.array([BUFFALO]))
    assert found.texts() == [NEW_PLACE]
    assert not found.flagged.any()
    # by the tables of distances on a sphere, Toledo's end of the lake to Buffalo is some 390 km
    assert 10 * found.distance[NEW_PLACE][0] == pytest.approx(390, abs=10)


def test_the_year_turns():
    rng = np.random.default_rng(2)
    date = np.repeat(np.arange(10), 4)
    winter = Applicability.fit(water(rng, 40), BANDS_NM, date, (355.0 + 2 * date) % 365.25)
    spectrum = water(rng, 1)
    assert winter.flag(spectrum, one(363)).distance["season"][0] < 0.2
    assert winter.flag(spectrum, one(200)).distance["season"][0] > 10


@pytest.mark.slow
def test_embedding_and_reconstruction(season):
    rng = np.random.default_rng(8)
    embedding = rng.normal(size=(150, 4)) @ rng.normal(size=(4, 300)) + rng.normal(0, 0.01, (150, 300))
    error = rng.uniform(0.5, 1.5, 150)
    known = Applicability.fit(
        season["spectra"],
        BANDS_NM,
        season["dates"],
        season["day"],
        embedding=embedding,
        reconstruction=error,
    )
    assert known.held_out_share <= 0.05
    plain, day = season["spectra"][:1], one(200)
    assert known.flag(plain, day, embedding=embedding[:1], reconstruction=one(1)).texts() == [""]
    assert known.flag(plain, day, embedding=20 * embedding[:1]).texts()[0].startswith("embedding")
    other = embedding[:1] + rng.normal(0, 1, (1, 300))
    assert "embedding detail" in known.flag(plain, day, embedding=other).texts()[0]
    assert known.flag(plain, day, reconstruction=one(9)).texts() == ["reconstruction"]
    again = Applicability.from_dict(json.loads(json.dumps(known.to_dict())))
    assert again.to_dict() == known.to_dict()
    for name, value in known.flag(plain, day, embedding=other).distance.items():
        assert again.flag(plain, day, embedding=other).distance[name] == value
    with pytest.raises(
        ApplicabilityError, match=r"wanted embedding of shape \(1, n_columns\), found \(2, 300\)"
    ):
        known.flag(plain, day, embedding=embedding[:2])


def test_written_and_read_back(season, fitted):
    again = Applicability.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.to_dict() == fitted.to_dict()
    first = fitted.flag(season["spectra"], season["day"], places=season["places"])
    second = again.flag(season["spectra"], season["day"], places=season["places"])
    assert first.texts() == second.texts()
    with pytest.raises(ApplicabilityError, match="damaged"):
        Applicability.from_dict({})


@pytest.mark.slow
def test_what_is_refused(season, fitted):
    spectra, dates, day = season["spectra"], season["dates"], season["day"]
    with pytest.raises(ApplicabilityError, match="wanted complete spectra of 5 dates or more, found 20 of 4"):
        Applicability.fit(spectra[:20], BANDS_NM, dates[:20], day[:20])
    with pytest.raises(ApplicabilityError, match="100% of the training dates break rules"):
        Applicability.fit(100 * spectra, BANDS_NM, dates, day)
    with pytest.raises(ApplicabilityError, match="wanted spectra of the 65 bands"):
        fitted.flag(spectra[:, :9], day)
    with pytest.raises(ApplicabilityError, match="found reconstruction, which was not learned from"):
        fitted.flag(spectra, day, reconstruction=np.ones(150))
    with pytest.raises(ApplicabilityError, match=r"wanted places of shape \(150, 2\), found \(150, 3\)"):
        fitted.flag(spectra, day, places=np.ones((150, 3)))


def real_spectra(folder):
    patches = read_patches(folder / "pace_station_patches.nc")
    spectra = patches.mean_spectrum()
    day = patches.time.astype("datetime64[D]")
    of_year = (day - np.datetime64("2024-01-01")).astype(int) + 1.0
    whole = np.isfinite(spectra).all(axis=1)
    return spectra[whole], patches.wavelength, day[whole].astype(str), of_year[whole]


@pytest.mark.slow
def test_real_spectra_and_their_corruptions(lake_erie):
    """Every tenth date is held out in turn; limits come from the training dates alone."""
    spectra, wavelength, dates, day = real_spectra(lake_erie)
    names, place = np.unique(dates, return_inverse=True)
    wrong = corruptions(spectra, wavelength, np.random.default_rng(0))
    flagged = {name: np.zeros(dates.size, bool) for name in ("as they are", *wrong)}
    for fold in range(10):
        test = place % 10 == fold
        known = Applicability.fit(spectra[~test], wavelength, dates[~test], day[~test])
        for name, Rrs in {"as they are": spectra, **wrong}.items():
            flagged[name][test] = known.flag(Rrs[test], day[test]).flagged
    assert not np.any(list(broken_rules(spectra, wavelength).values()))
    share = np.mean([flagged["as they are"][place == one].mean() for one in range(names.size)])
    assert share == pytest.approx(0.05, abs=0.03)
    for name in wrong:
        assert flagged[name].mean() >= 0.95, name
