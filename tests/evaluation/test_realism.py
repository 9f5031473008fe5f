"""Real against simulated: small cases whose answers are known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.cli.main import main
from spectm.data.labels import read_labels
from spectm.data.patches import read_patches
from spectm.errors import LabelError, PatchError
from spectm.evaluation.realism import RealismSettings, compare
from spectm.evaluation.realism_classifier import FORMS, date_folds, differences, form, separate
from spectm.evaluation.realism_record import QUANTITIES, rank_table, record_table
from spectm.evaluation.realism_spectra import (
    Spectra,
    angles_to_nearest,
    drawn,
    halves_inside,
    level_table,
    normalised,
    quartile_table,
    real_spectra,
)
from spectm.evaluation.realism_truth import rank_correlation, targets
from tests.study import Study

NM = np.linspace(380.0, 720.0, 35)


def _spectra(n: int, *, seed: int, n_days: int = 20, lake: int = -1, shift: float = 0.0) -> Spectra:
    """Noise about a green spectrum, some on each of several days from 1 June."""
    rng = np.random.default_rng(seed)
    level = 0.01 * np.exp(-(((NM - 560) / 60) ** 2)) + shift * (NM > 650)
    days = np.datetime64("2024-06-01T18") + (np.arange(n) % n_days) * np.timedelta64(1, "D")
    return Spectra(
        Rrs=level * (1 + 0.1 * rng.normal(size=(n, 1))) + 3e-4 * rng.normal(size=(n, NM.size)),
        wavelength=NM,
        time=days,
        lake=np.full(n, lake),
        truth=None,
        contents={},
    )


def test_angle_between_known_vectors() -> None:
    """(1, 0) lies 60 degrees from (1, sqrt 3) and 45 from (2, 2); brightness does not count."""
    others = np.array([[5.0, 5 * np.sqrt(3)], [2.0, 2.0]])
    spectra = np.array([[1.0, 0.0], [7.0, 0.0], [0.0, 1.0]])
    expected = np.deg2rad([45.0, 45.0, 30.0])
    np.testing.assert_allclose(angles_to_nearest(spectra, others), expected, atol=1e-7)


def test_the_nearest_of_another_date_leaves_out_its_own() -> None:
    """The twin of the same day does not count, itself neither; a date with nothing else has no answer."""
    spectra = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    dates = np.array([1, 1, 2])
    found = angles_to_nearest(spectra, spectra, dates=dates, other_dates=dates)
    np.testing.assert_allclose(found, np.pi / 4)
    assert np.isnan(angles_to_nearest(spectra, spectra, dates=dates * 0, other_dates=dates * 0)).all()


def test_many_spectra_are_taken_in_parts() -> None:
    """More than are held at once give what each gives alone."""
    spectra = np.random.default_rng(0).random((1203, 4))
    whole = angles_to_nearest(spectra, spectra[:7] ** 2)
    np.testing.assert_array_equal(whole[1100:1103], angles_to_nearest(spectra[1100:1103], spectra[:7] ** 2))


def test_quartiles_inside_the_real_range() -> None:
    """1 to 5 has the quartiles 2, 3, 4: those of 2.5 to 3.5 lie within, those of 0 to 4 begin below."""
    real = {"narrow": np.arange(1.0, 6.0), "low": np.arange(1.0, 6.0)}
    simulated = {"narrow": np.linspace(2.5, 3.5, 5), "low": np.arange(5.0)}
    table = quartile_table(real, simulated).set_index("quantity")
    levels = (25, 50, 75)
    assert [table.loc["narrow", f"inside_{level}"] for level in levels] == [True] * 3
    assert [table.loc["low", f"inside_{level}"] for level in levels] == [False, True, True]
    assert table.loc["low", "offset_25"] == pytest.approx(-0.5)
    assert [table.loc["low", f"real_{level}"] for level in levels] == [2.0, 3.0, 4.0]


def test_halves_of_the_same_dates_agree_by_chance() -> None:
    """Medians of halves lie in each other's range, outer quartiles in half of the draws; three quantities."""
    rng = np.random.default_rng(3)
    found = {name: rng.normal(size=4000) for name in ("a", "b", "c")}
    counts = halves_inside(found, np.repeat(np.arange(400), 10), np.random.default_rng(0), draws=100)
    assert counts.min() >= 3
    assert counts.max() <= 9
    assert counts.mean() == pytest.approx(6, abs=0.4)
    # Two dates of other waters: nothing of either lies within the other's range.
    apart = halves_inside({"a": np.repeat([0.0, 9.0], 5)}, np.repeat([1, 2], 5), rng, draws=3)
    assert apart.tolist() == [0, 0, 0]


def test_folds_keep_dates_together() -> None:
    dates = np.repeat(np.arange(23), 7)
    fold = date_folds(dates, 5, np.random.default_rng(1))
    assert set(fold) == set(range(5))
    assert all(len(set(fold[dates == date])) == 1 for date in range(23))


def test_lakes_do_not_share_dates() -> None:
    assert not set(_spectra(20, seed=0, lake=1).date) & set(_spectra(20, seed=0, lake=2).date)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_a_classifier_of_equals_guesses(name: str) -> None:
    found = separate(_spectra(200, seed=1), _spectra(200, seed=2, lake=0), name, seed=0, rounds=10)
    assert abs(found.auc - 0.5) < 0.1
    assert found.centre_nm.shape == found.importance.shape


@pytest.mark.slow
def test_a_classifier_finds_where_spectra_differ() -> None:
    """Only bands beyond 650 nm differ: certainty, and they are the reason."""
    found = separate(
        _spectra(150, seed=1), _spectra(150, seed=2, lake=0, shift=2e-3), "raw", seed=0, rounds=10
    )
    assert found.auc > 0.99
    assert found.centre_nm[found.importance.argmax()] > 640
    assert found.importance[found.centre_nm < 600].max() < 0.05


def test_differences_name_level_spread_and_texture() -> None:
    real, other = _spectra(200, seed=1), _spectra(200, seed=2, shift=2e-3)
    table = differences(real, other)
    assert table["wavelength"].min() >= 400
    red = table["wavelength"] > 660
    assert (table["simulated_mean"] > table["real_mean"])[red].all()
    np.testing.assert_allclose(table["real_texture"], table["simulated_texture"], rtol=0.5)


def test_shapes_have_no_brightness() -> None:
    spectra = _spectra(5, seed=0)
    np.testing.assert_allclose(normalised(3 * spectra.Rrs, NM), normalised(spectra.Rrs, NM))
    assert (normalised(spectra.Rrs, NM) ** 2).mean(axis=1) == pytest.approx(np.ones(5))
    np.testing.assert_allclose(
        form(spectra, "texture") + form(spectra, "normalised") * 0, form(spectra, "texture")
    )


def test_drawn_spectra_have_the_shares_of_months() -> None:
    """Nine tenths in June although the pool is half July."""
    pool = _spectra(4000, seed=0, n_days=60)
    like = pool.at(np.r_[np.flatnonzero(pool.month == 6)[:90], np.flatnonzero(pool.month == 7)[:10]])
    some = drawn(pool, like, 500, np.random.default_rng(0))
    assert some.n == 500
    assert np.mean(some.month == 6) == pytest.approx(0.9, abs=0.05)
    assert drawn(pool, like.at(like.month == 6), 9999, np.random.default_rng(0)).n == (pool.month == 6).sum()


@pytest.mark.slow
def test_rank_correlation_with_an_interval() -> None:
    """A rising curve has 1; what was not measured does not count."""
    observed = np.array([1.0, 2.0, np.nan, 3.0, 4.0, 5.0])
    dates = np.array(["a", "b", "b", "c", "d", "e"])
    found = rank_correlation(observed, np.exp([1.0, 2.0, 9.0, 3.0, 4.0, 5.0]), dates)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    mixed = rank_correlation(np.arange(40.0) % 7, np.arange(40.0), np.arange(40).astype(str))
    assert mixed.low < mixed.value < mixed.high


def test_chlorophyll_counts_all_algae() -> None:
    contents = {name: np.array([10.0]) for name in ("chlorophyll", "phycocyanin", "microcystin")}
    spectra = _spectra(1, seed=0)
    spectra = Spectra(
        Rrs=spectra.Rrs,
        wavelength=NM,
        time=spectra.time,
        lake=spectra.lake,
        truth=None,
        contents={**contents, "cyano_chlorophyll": np.array([90.0])},
    )
    assert {name: float(values[0]) for name, values in targets(spectra).items()} == {
        "phycocyanin": 1.0,
        "chlorophyll": 2.0,
        "microcystin": 1.0,
    }


def test_spectra_of_the_season_only(study: Study) -> None:
    """Those of June to August with all bands count; a file of winter alone is refused."""
    patches = study.patches
    real = real_spectra(patches)
    assert np.isfinite(real.Rrs).all()
    assert real.n == patches.valid.sum()
    winter = patches.time + np.timedelta64(200, "D")
    kept = {
        name: getattr(patches, name) for name in ("Rrs", "wavelength", "station", "latitude", "longitude")
    }
    with pytest.raises(PatchError, match="April to October"):
        real_spectra(type(patches)(**kept, time=winter, source="winter.nc"))


def test_the_record_by_month_by_station_and_its_ranks(lake_erie: Path) -> None:
    """A made-up laboratory of four samples; the real one counted by hand in its files."""
    ours = pd.DataFrame(
        {"station": ["WE2", "WE2", "WE4", "WE4"], "date": ["2024-04-08", *["2024-08-05"] * 3]}
    )
    for name, values in zip(QUANTITIES, ([1, 2, 3, 4], [4, 1, 3, 9], [8, 5, 5, 2]), strict=False):
        ours[name] = np.array(values, dtype=float)
    ours["cdom"], ours["microcystin"] = 1.0, [0.1, 0.3, np.nan, 0.5]
    for name in QUANTITIES:
        ours[f"{name}_below_detection"] = ours[name] == 0.1
    labels = read_labels(lake_erie / "glerl")
    table = record_table(labels, ours).set_index(["group", "quantity"])
    assert table.loc[(4, "microcystin"), "real_below"] == 1  # 24 of 24; 11 samples were not measured
    assert table.loc[(4, "microcystin"), "n_real"] == 24
    assert table.loc[(5, "microcystin"), "real_below"] == pytest.approx(74 / 78)
    assert table.loc[(8, "chlorophyll"), "simulated_50"] == 3
    assert table.loc[("WE2", "chlorophyll"), ["simulated_50", "n_simulated"]].tolist() == [
        2,
        1,
    ]  # none of April
    assert table.loc[("WE4", "microcystin"), ["simulated_50", "n_simulated"]].tolist() == [0.5, 1]
    ranks = rank_table(labels, ours)
    # August: chlorophyll 2 3 4, phycocyanin 1 3 9, turbidity 5 5 2; microcystin 0.3 and 0.5 with the ends
    assert ranks["simulated"].tolist() == pytest.approx([1, 1, -(3**0.5) / 2])
    assert ranks["n_simulated"].tolist() == [3, 2, 3]


def test_a_record_without_the_stations_is_refused(study: Study) -> None:
    with pytest.raises(LabelError, match="WE2"):
        record_table(study.labels, pd.DataFrame({"station": ["WE2"]}))


@pytest.mark.slow
def test_the_whole_comparison(lake_erie: Path, tmp_path: Path) -> None:
    """All files are there, say that they hold simulated numbers, and repeat themselves."""
    settings = RealismSettings(lakes=1, spectra=400, years=(2024,), forms=("normalised and smoothed",))
    patches, pixels = (
        read_patches(lake_erie / name) for name in ("pace_station_patches.nc", "pace_pixels.nc")
    )
    labels = read_labels(lake_erie / "glerl")
    page = tmp_path / "realism.md"
    written = compare(patches, pixels, labels, settings, tmp_path / "out", results=page)
    assert all(path.stat().st_size > 0 for path in written)
    record = json.loads((tmp_path / "out" / "realism.json").read_text(encoding="utf-8"))
    assert record["simulated"] is True
    assert (record["n_real"], record["n_simulated"]) == (1275, 400)
    assert [(one["days"], one["n_real"]) for one in record["halves"]] == [("odd", 670), ("even", 605)]
    assert sum(one["n_simulated"] for one in record["halves"]) == 400
    # Against the real file: those of another date are a fact that no simulation touches.
    assert record["angles"][0]["median"] == pytest.approx(0.0335, abs=5e-4)
    assert record["angles"][0]["p90"] == pytest.approx(0.0682, abs=5e-4)
    rho = {row["quantity"]: row["rho"] for row in record["truth"] if row["model"] == "index"}
    assert rho["phycocyanin"] == pytest.approx(0.62, abs=0.01)
    assert rho["chlorophyll"] == pytest.approx(0.74, abs=0.01)
    assert rho["microcystin"] == pytest.approx(0.77, abs=0.01)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "simulated" in html
    assert "http" not in html.replace("http-equiv", "")
    text = page.read_text(encoding="utf-8")
    assert "# Real against simulated" in text
    images = re.findall(r"!\[.+\]\((images/realism-\w+-\d\.svg)\)", text)
    assert len(images) == len(set(images)) > 8
    assert {tmp_path / name for name in images} == set((tmp_path / "images").iterdir())
    assert all((tmp_path / name).read_bytes().startswith(b"<?xml") for name in images)
    for table in (tmp_path / "out").glob("*.csv"):
        assert (pd.read_csv(table)["compares"] == "real and simulated").all()


@pytest.mark.parametrize("words", [["--lakes", "0"], ["--seed", "-1"], ["--spectra", "9"]])
def test_the_command_refuses_what_cannot_be(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """At once, before a file is read."""
    files = ["--patches", "none.nc", "--pixels", "none.nc", "--labels", "none", "--out", "nowhere"]
    assert main(["realism", *files, *words]) == 1
    assert "wanted a seed of 0 or more" in capsys.readouterr().err


def test_levels_of_single_bands() -> None:
    """A band that is half negative, and its percentiles."""
    spectra = _spectra(101, seed=0)
    Rrs = np.tile(np.linspace(-1.0, 1.0, 101)[:, None], (1, NM.size))
    even = Spectra(Rrs=Rrs, wavelength=NM, time=spectra.time, lake=spectra.lake, truth=None, contents={})
    table = level_table(even, even)
    assert table["real_negative"].tolist() == [pytest.approx(50 / 101)] * len(table)
    assert table["simulated_25"].tolist() == [pytest.approx(-0.5)] * len(table)
