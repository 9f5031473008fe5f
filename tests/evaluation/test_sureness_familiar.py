"""Flags of held-out rows, of spectra with something wrong, and of other waters, on made data."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spectm.data.patches import Patches
from spectm.data.splits import leave_date_out
from spectm.errors import PatchError
from spectm.evaluation import sureness_blind
from spectm.evaluation.run import EvaluationSettings
from spectm.evaluation.study import prepared
from spectm.evaluation.sureness_blind import dealt
from spectm.evaluation.sureness_corruptions import MILD_CHANGES, corruptions, mild_changes
from spectm.evaluation.sureness_familiar import (
    ANY,
    LAKE,
    LOOK,
    flag_lines,
    flag_shares,
    held_out_shares,
    strangeness,
)
from spectm.evaluation.sureness_files import familiar_lines
from spectm.evaluation.sureness_foreign import Foreign, foreign_shares, on_bands, read_foreign
from spectm.model.encoder import EncoderConfig
from spectm.training.forecast import local_days
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.trust.applicability import Flags
from tests.study import Study

BANDS_NM = np.arange(400.0, 721.0, 5.0)
N_DATES = 20


def water(rng, n):
    """Spectra of three things that vary: particles, pigment, CDOM; with a little noise."""
    particles, pigment, cdom = rng.uniform(0.3, 1.5, (3, n, 1))
    green = np.exp(-(((BANDS_NM - 560) / 55) ** 2))
    trough = np.exp(-(((BANDS_NM - 625) / 15) ** 2))
    blue = np.exp(-(BANDS_NM - 400) / 60)
    end = 1 - 0.6 / (1 + np.exp(-(BANDS_NM - 712) / 2))
    clean = 0.004 * particles * (1 + 1.5 * green) * (1 - 0.25 * pigment * trough) * (1 - 0.4 * cdom * blue)
    return clean * end + rng.normal(0, 2e-5, (n, BANDS_NM.size))


def lake(spectra) -> Patches:
    """Five stations every fifth day from June on."""
    day = np.datetime64("2024-06-03T18", "ns") + 5 * np.timedelta64(1, "D") * np.repeat(np.arange(N_DATES), 5)
    return Patches(
        Rrs=spectra[:, :, None, None].astype(np.float32),
        wavelength=BANDS_NM,
        time=day,
        station=np.tile(list("ABCDE"), N_DATES),
        latitude=np.full(day.size, 41.7),
        longitude=np.full(day.size, -83.3),
        source="made",
    )


@pytest.fixture(scope="module")
def made():
    return lake(water(np.random.default_rng(3), 5 * N_DATES))


def seen_of(patches: Patches):
    days = patches.time.astype("datetime64[D]")
    day = (days - np.datetime64("2024-01-01")).astype(float) + 1
    return {"spectra": patches.mean_spectrum(), "day_of_year": day}


def test_a_held_out_row_is_judged_by_others(study: Study) -> None:
    """One date has an odd colour: unseen it is flagged; had it been learned from, it would not be."""
    task, odd_fold, other = (
        study.tasks["current"],
        *(leave_date_out(study.tasks["current"].rows)[i] for i in (3, 6)),
    )
    patch = task.rows["patch"].to_numpy()
    Rrs = study.patches.Rrs.copy()
    Rrs[patch[odd_fold.test]] *= np.linspace(0.2, 1.8, Rrs.shape[1], dtype=np.float32)[:, None, None]
    patches = replace(study.patches, Rrs=Rrs)
    lines = flag_lines(task, odd_fold, patches, seen_of(patches), "bands")
    assert [line["row"] for line in lines] == odd_fold.test.tolist()
    assert all(line["flagged"] and line["strangeness"] > 1 for line in lines)
    assert all("shape" in line["reasons"] for line in lines)
    assert {line["seer"] for line in lines} == {"bands"}
    # the odd date is learned from when another is judged: its own limits are then as wide as it is odd
    again = flag_lines(task, other, patches, seen_of(patches), "bands")
    assert not any(line["flagged"] for line in again)


def test_what_lies_near_in_time_is_not_learned_from(study: Study) -> None:
    """The overpass a day before the tested one is as odd: within 60 hours it vouches for nobody."""
    task = study.tasks["current"]
    fold = leave_date_out(task.rows)[3]
    patches = study.patches
    tested = task.rows["patch"].to_numpy()[fold.test]
    odd = np.linspace(0.2, 1.8, patches.n_bands, dtype=np.float32)[:, None, None]
    Rrs = patches.Rrs.copy()
    near = np.abs(patches.time - patches.time[tested[0]]) < np.timedelta64(50, "h")
    assert near.sum() > tested.size
    Rrs[near] *= odd
    moved = replace(patches, Rrs=Rrs)
    assert all(line["flagged"] for line in flag_lines(task, fold, moved, seen_of(moved), "bands"))


def test_too_few_dates_judge_nothing(study: Study) -> None:
    task = study.tasks["current"]
    fold = leave_date_out(task.rows)[0]
    few = np.zeros(study.patches.n_samples)
    Rrs = np.where((np.arange(few.size) < 16)[:, None, None, None], study.patches.Rrs, np.nan)
    patches = replace(study.patches, Rrs=Rrs.astype(np.float32))
    assert flag_lines(task, fold, patches, seen_of(patches), "bands") == []


def test_strangeness_by_hand():
    flags = Flags(
        flagged=np.array([False, True, True]),
        reasons={
            "spectrum": np.array([False, True, False]),
            "new place": np.array([True, True, True]),
            "rough": np.array([False, False, True]),
        },
        distance={"spectrum": np.array([0.4, 1.5, np.nan]), "new place": np.array([9.0, 9.0, 9.0])},
    )
    assert strangeness(flags).tolist() == [0.4, 1.5, np.inf]


def test_shares_by_hand():
    judged = pd.DataFrame(
        {
            "date": ["a", "a", "a", "b"],
            ANY: [True, False, False, True],
            LOOK: [False, False, False, True],
            "shape": [False, False, False, True],
            "rough": False,
        }
    )
    found = flag_shares("x", judged).set_index("reason")
    assert list(found.index) == [ANY, LOOK, "shape"]
    assert found.loc[ANY, ["share", "share_of_dates", "n", "n_dates"]].tolist() == pytest.approx(
        [0.5, (1 / 3 + 1) / 2, 4, 2]
    )
    assert found.loc["shape", "share"] == 0.25


def test_each_corruption_is_what_its_name_says():
    Rrs = water(np.random.default_rng(0), 50)
    wrong = corruptions(Rrs, BANDS_NM, np.random.default_rng(1))
    assert wrong["times pi"] == pytest.approx(3.14159265 * Rrs)
    assert wrong["percent"] == pytest.approx(100 * Rrs)
    assert np.sort(wrong["shuffled bands"], axis=1) == pytest.approx(np.sort(Rrs, axis=1))
    assert (wrong["shuffled bands"] != Rrs).mean() > 0.9
    added = wrong["glint"] - Rrs
    assert 0.008 * 0.9 < added.min() < added.max() < 0.03 * 1.2
    assert wrong["noise"].mean() == pytest.approx(Rrs.mean(), rel=0.1)
    at = {nm: int(np.argmin(np.abs(BANDS_NM - nm))) for nm in (550, 690, 720)}
    assert (wrong["land-like"][:, at[720]] > wrong["land-like"][:, at[690]]).all()
    cloud = wrong["cloud-edge"] - 0.9 * Rrs
    # white, a little bluer, and of 10 to 50 % of a reflectance of 0.3 to 0.8 over pi
    assert (np.diff(cloud, axis=1) < 0).all()
    assert 0.1 * 0.3 / np.pi * 0.9 < cloud.min() < cloud.max() < 0.5 * 0.8 / np.pi * 1.1


def test_mild_changes_are_what_their_names_say():
    Rrs = np.array([[0.002, 0.010], [0.004, 0.006]])
    found = mild_changes(Rrs)
    assert list(found) == [*(f"plus 0.00{i} sr^-1" for i in (1, 3, 5)), "times 1.2", "times 1.5", "times 2"]
    assert found["plus 0.001 sr^-1"] == pytest.approx(np.array([[0.003, 0.011], [0.005, 0.007]]))
    assert found["plus 0.003 sr^-1"][0] == pytest.approx([0.005, 0.013])
    assert found["plus 0.005 sr^-1"][0] == pytest.approx([0.007, 0.015])
    assert found["times 1.2"][0] == pytest.approx([0.0024, 0.012])
    assert found["times 1.5"][0] == pytest.approx([0.003, 0.015])
    assert found["times 2"][1] == pytest.approx([0.008, 0.012])


@pytest.mark.slow
def test_a_made_lake_and_its_corruptions(made):
    found = familiar_lines(made)
    any_reason = found[found["reason"] == ANY].set_index("spectra")
    assert any_reason.loc[LAKE, "share_of_dates"] == pytest.approx(0.06, abs=0.05)
    assert any_reason.loc[LAKE, "n_dates"] == N_DATES
    wrong = any_reason.drop(index=[LAKE, *MILD_CHANGES])["share"]
    assert (wrong >= 0.95).all()
    assert len(wrong) == 7
    assert any_reason.loc["times 1.2", "share"] < any_reason.loc["times 1.5", "share"] < 0.95
    assert found.groupby("kind")["spectra"].nunique().to_dict() == {"corruption": 7, "lake": 1, "mild": 6}
    assert set(found.loc[found["kind"] == "mild", "spectra"]) == set(MILD_CHANGES)
    assert held_out_shares(made.select(np.arange(20))).empty


def foreign_table(n=4, first=400, last=700, step=1):
    nm = np.arange(first, last + 1, step)
    values = np.tile(nm / 1e5, (n, 1))
    table = pd.DataFrame(values, columns=[f"Rrs_{band}" for band in nm])
    head = {"TOWDATETIME_EST": "2024-07-05 10:00:00", "LAT": 29.5, "LON": -90.0, "Rrs_brightness": 7.0}
    return pd.DataFrame(head, index=range(n)).join(table)


def test_a_table_is_read(tmp_path):
    path = tmp_path / "shelf.csv"
    table = foreign_table()
    table.loc[2, "Rrs_450"] = np.nan
    table.to_csv(path, index=False)
    found = read_foreign(path)
    assert found.name == "shelf"
    assert found.wavelength.tolist() == list(range(400, 701))
    assert found.Rrs[1, 50] == pytest.approx(0.0045)
    assert np.isnan(found.Rrs[2, 50])
    assert (found.date == np.datetime64("2024-07-05")).all()
    assert found.places.tolist() == [[29.5, -90.0]] * 4


@pytest.mark.slow
def test_an_excel_sheet_is_read(tmp_path):
    pytest.importorskip("openpyxl", reason="Excel files want openpyxl")
    path = tmp_path / "gulf.xlsx"
    table = foreign_table().drop(columns="Rrs_brightness")
    table.columns = [name.removeprefix("Rrs_") for name in table.columns]
    with pd.ExcelWriter(path) as writer:
        table.to_excel(writer, sheet_name="Aphy", index=False)
        (2 * table.assign(TOWDATETIME_EST=0)).assign(
            TOWDATETIME_EST=table["TOWDATETIME_EST"], LAT=table["LAT"], LON=table["LON"]
        ).to_excel(writer, sheet_name="Rrs", index=False)
    assert read_foreign(path).Rrs[0, 100] == pytest.approx(0.01)


@pytest.mark.slow
def test_what_is_no_table_of_spectra(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(PatchError, match="can't read"):
        read_foreign(path)
    foreign_table(last=410).to_csv(path, index=False)
    with pytest.raises(PatchError, match=r"columns of 20 bands or more, .* found 11"):
        read_foreign(path)
    foreign_table().drop(columns="LAT").to_csv(path, index=False)
    with pytest.raises(PatchError, match="wanted a column of lat, found none"):
        read_foreign(path)
    foreign_table().assign(TOWDATETIME_EST=["2024-07-05", "x", "2024-07-05", "2024-07-05"]).to_csv(path)
    with pytest.raises(PatchError, match="line 3: wanted a date, found 'x'"):
        read_foreign(path)


def on(nm, Rrs):
    return Foreign(
        name="x",
        Rrs=np.array(Rrs, dtype=float),
        wavelength=np.array(nm, dtype=float),
        date=np.full(len(Rrs), np.datetime64("2024-07-05")),
        places=np.full((len(Rrs), 2), [29.5, -90.0]),
    )


def test_fine_spectra_are_averaged_and_coarse_ones_taken():
    nm = np.arange(500, 521)
    found = on_bands(on(nm, [nm.astype(float) ** 2]), np.array([495.0, 501.0, 510.2, 519.0]))
    inside = np.array([508, 509, 510, 511, 512])  # within 2.5 nm of 510.2
    assert found[0, 2] == pytest.approx((inside**2).mean())
    # half of the band lies beyond the end of the spectrum
    assert np.isnan(found[0, [0, 1, 3]]).all()
    gap = nm.astype(float)
    gap[9] = np.nan
    assert np.isnan(on_bands(on(nm, [gap]), np.array([510.0]))).all()
    coarse = on_bands(on([500, 505, 510], [[1.0, 2.0, 3.0]]), np.array([500.4, 503.0, 510.9]))
    assert coarse[0, [0, 2]].tolist() == [1, 3]
    assert np.isnan(coarse[0, 1])


@pytest.mark.slow
def test_other_waters_by_reason(made):
    """The lake's own water far away is familiar but for its place, its blue bands missing too."""
    rng = np.random.default_rng(4)
    new = water(rng, 60)
    shown = BANDS_NM >= 500
    grey = np.full((10, BANDS_NM.size), 0.03)
    far = [
        on(BANDS_NM, new),
        replace(on(BANDS_NM[shown], new[:, shown]), name="half"),
        replace(on(BANDS_NM, grey), name="grey"),
        replace(on(BANDS_NM, np.vstack([new[:3], np.full((2, 65), np.nan)])), name="gaps"),
    ]
    found = foreign_shares(made, far).set_index(["spectra", "reason"])["share"]
    assert found["x", "new place"] == 1
    assert found["x", LOOK] < 0.15
    assert found["half", LOOK] < 0.15
    assert found["half", "missing bands"] == found["half", ANY] == 1  # 20 of 65 bands
    assert found["grey", LOOK] == 1
    assert found["grey", "no green peak"] == 1
    assert foreign_shares(made, far).query("spectra == 'gaps'")["n"].iloc[0] == 3


def test_dates_are_dealt_once():
    sets = dealt(np.array(list("ccabdefgaijk")), 5)
    (spread, together) = sets.values()
    assert ["".join(one) for one in spread] == ["af", "bg", "ci", "dj", "ek"]
    assert ["".join(one) for one in together] == ["ab", "cd", "ef", "gi", "jk"]


def test_a_blind_encoder_sees_nothing_of_what_is_judged(study: Study, monkeypatch) -> None:
    sources = []

    def fake(fabric, given, settings, seed):
        sources.extend(given)
        return SimpleNamespace(model=untrained(pretraining_data(given), settings, seed=seed))

    monkeypatch.setattr(sureness_blind, "pretrain", fake)
    settings = EvaluationSettings(encoder=EncoderConfig(width=16, depth=1, heads=2))
    time = study.patches.time
    test = time.astype("datetime64[D]") == np.datetime64("2024-07-08")
    kept, model = sureness_blind.blind_to(study.patches, [study.patches], test, settings)
    seen = sureness_blind.made_of(study.patches, model)
    apart = np.abs(time[:, None] - time[test]).min(axis=1)
    assert test.sum() > 1
    assert (kept == (apart > np.timedelta64(60, "h"))).all()
    assert [source.n_samples for source in sources] == [kept.sum(), kept.sum()]
    assert {"embedding", "reconstruction", "spectra"} <= set(seen)
    assert len(seen["spectra"]) == study.patches.n_samples


def test_shares_with_a_blind_encoder_by_hand() -> None:
    """Two sets of one way: a reason that only one of them knows was not met in the other."""
    lines = pd.DataFrame(
        [
            ("a way", LAKE, "2024-07-01", True, True, True),
            ("a way", LAKE, "2024-07-01", False, False, None),
            ("a way", LAKE, "2024-07-08", False, False, None),
            ("a way", "glint", "2024-07-08", True, True, None),
            ("another", LAKE, "2024-07-08", True, False, None),
        ],
        columns=["left_out", "spectra", "date", ANY, LOOK, "reconstruction"],
    )
    found = sureness_blind.blind_shares(lines).set_index(["left_out", "spectra", "reason"])
    assert found.loc["a way", LAKE, ANY].tolist() == pytest.approx([1 / 3, 1 / 4, 3, 2])
    assert found.loc["a way", LAKE, "reconstruction"].tolist() == pytest.approx([1 / 3, 1 / 4, 3, 2])
    assert found.loc["a way", "glint", ANY].tolist() == [1, 1, 1, 1]
    assert found.loc["another", LAKE, LOOK].tolist() == [0, 0, 1, 1]
    assert len(found) == 3 + 2 + 2
    assert sureness_blind.blind_shares(lines.iloc[:0]).empty


@pytest.mark.slow
def test_blind_jobs_judge_every_date_once(study: Study, tiny_settings: EvaluationSettings) -> None:
    config = replace(tiny_settings.evaluation, flag_sets=5)
    given = (study.patches, study.labels, study.unlabelled)
    jobs = dict(sureness_blind.blind_jobs(prepared(*given, tiny_settings, config)))
    assert len(jobs) == 10
    lines = pd.concat([pd.DataFrame(job().further[sureness_blind.BLIND]) for job in jobs.values()])
    found = sureness_blind.blind_shares(lines).set_index(["left_out", "spectra", "reason"])
    whole = np.isfinite(study.patches.mean_spectrum()).all(axis=1)
    dates = np.unique(local_days(study.patches.time[whole]))
    for left_out in (sureness_blind.SPREAD_OUT, sureness_blind.TOGETHER):
        lake = found.loc[left_out, LAKE, ANY]
        assert (lake["n"], lake["n_dates"]) == (whole.sum(), dates.size)
    assert found.loc[(sureness_blind.SPREAD_OUT, "noise", ANY), "share"] == 1
    assert set(found.loc[sureness_blind.TOGETHER].index.get_level_values("spectra")) == {LAKE}
    none = prepared(*given, tiny_settings, replace(config, flag_sets=0))
    assert dict(sureness_blind.blind_jobs(none)) == {}
    # overpasses come in pairs a day apart: without every other date nothing is far enough from one
    two = prepared(*given, tiny_settings, replace(config, flag_sets=2))
    lines = pd.concat(
        [pd.DataFrame(job().further[sureness_blind.BLIND]) for _, job in sureness_blind.blind_jobs(two)]
    )
    found = sureness_blind.blind_shares(lines).set_index("left_out")
    failed = found.loc[sureness_blind.SPREAD_OUT]
    assert failed["reason"].startswith(sureness_blind.NOT_JUDGED)
    assert failed["n"] == 0
    assert (found.loc[sureness_blind.TOGETHER, "n"] == whole.sum()).all()
    assert [one.size for one in sureness_blind.dealt(dates[:3], 5)[sureness_blind.TOGETHER]] == [1, 1, 1]


def test_limits_are_of_other_dates_alone(
    study: Study, tiny_settings: EvaluationSettings, monkeypatch
) -> None:
    fits, fit = [], sureness_blind.fitted_to

    def watched(patches, seen, kept):
        fits.append(kept)
        return fit(patches, seen, kept)

    monkeypatch.setattr(sureness_blind, "fitted_to", watched)
    time = study.patches.time
    names = np.array(["2024-07-08"])
    rng = np.random.default_rng(0)
    given = (study.patches, study.unlabelled, names, tiny_settings)
    sureness_blind.blind_judgements(*given, rng=rng, changed=False)
    judged = time[local_days(time) == names[0]]
    (kept,) = fits
    assert judged.size > 1
    assert kept.any()
    assert (np.abs(time[kept][:, None] - judged) > np.timedelta64(60, "h")).all()
