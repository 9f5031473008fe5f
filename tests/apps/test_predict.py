"""From a cube to a store: the numbers of patches, no seams, nothing made up, going on after a stop."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import spectm
from spectm.apps import predict, tiles
from spectm.apps.fields import NO_SPECTRUM, REASON_BITS
from spectm.apps.planning import plan
from spectm.apps.predict import PredictReport, predict_maps
from spectm.apps.store import Store, open_store
from spectm.data.cube import finish_period, open_cube, period_records
from spectm.data.patches import Patches
from spectm.data.periods import period_of
from spectm.errors import CheckpointError, CubeError, PatchError, StoreError
from spectm.trust.thresholds import profile
from tests.apps.conftest import FIRST, lake
from tests.clusters import two_workers
from tests.data.cubes import make_cube
from tests.processes import PATIENCE_S
from tests.study import BANDS_NM

PROFILES = [profile("who-2020"), profile("epa-2019")]


def run(model: Path, cube: Path, out: Path, *, side: int = 64, **options) -> PredictReport:
    return predict_maps(plan(model, cube, out, PROFILES, **options), workers=1, side=side)


@pytest.fixture(scope="module")
def store(model_folder: Path, cube: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("stores") / "predictions"
    report = run(model_folder, cube, out)
    assert [str(period.start) for period in report.written] == ["2024-07-03", "2024-07-11", "2024-07-19"]
    return open_store(out)


def windows_one_by_one(cube: Path, i: int) -> tuple[Patches, np.ndarray]:
    """Window of three by three around every cell with a spectrum, NaN beyond the edge; and which cells."""
    with open_cube(cube) as opened:
        Rrs, start = opened["Rrs"].values[i], opened["time"].values[i]
        lat, lon = opened["lat"].values, opened["lon"].values
    found, places = [], []
    for row in range(Rrs.shape[0]):
        for column in range(Rrs.shape[1]):
            if not np.isfinite(Rrs[row, column]).all():
                continue
            window = np.full((Rrs.shape[2], 3, 3), np.nan, dtype=np.float32)
            for down in (-1, 0, 1):
                for across in (-1, 0, 1):
                    y, x = row + down, column + across
                    if 0 <= y < Rrs.shape[0] and 0 <= x < Rrs.shape[1]:
                        window[:, 1 + down, 1 + across] = Rrs[y, x]
            found.append(window)
            places.append((row, column))
    at = np.array(places)
    n = len(at)
    return (
        Patches(
            Rrs=np.array(found),
            wavelength=BANDS_NM,
            time=np.full(n, start + np.timedelta64(4, "D")),
            station=np.full(n, ""),
            latitude=lat[at[:, 0]],
            longitude=lon[at[:, 1]],
            source="one by one",
        ),
        at,
    )


def together(first: Patches, second: Patches) -> Patches:
    names = ("Rrs", "time", "station", "latitude", "longitude")
    return replace(first, **{n: np.concatenate([getattr(first, n), getattr(second, n)]) for n in names})


@pytest.mark.slow
def test_a_map_says_what_patches_say(store: Store, model_folder: Path, cube: Path) -> None:
    """Cut by a plain loop, this period and the one before together, in one pass."""
    model = spectm.load(model_folder)
    before, _ = windows_one_by_one(cube, 0)
    now, at = windows_one_by_one(cube, 1)
    outlook = model.outlook(together(now, before), (0.0, 8.0))
    maps, n = store.at("2024-07-12"), now.n_samples
    for horizon, estimate in zip((0.0, 8.0), outlook.estimates, strict=True):
        of_horizon = maps.sel(horizon=horizon)
        wanted = {
            "microcystin": estimate.median,
            "log10_spread": estimate.spread,
            "below_detection": estimate.below_detection,
        }
        for name, values in wanted.items():
            found = of_horizon[name].values[at[:, 0], at[:, 1]]
            np.testing.assert_allclose(found, values[:n], rtol=2e-4, atol=2e-4)
            assert np.isfinite(of_horizon[name].values).sum() == n
        for level in (0.5, 0.9):
            low, high = (of_horizon[f"interval_{end}"].sel(level=level).values for end in ("low", "high"))
            for found, values in zip((low, high), estimate.interval(level), strict=True):
                np.testing.assert_allclose(found[at[:, 0], at[:, 1]], values[:n], rtol=1e-3)
        for threshold in (1.0, 8.0, 12.0, 24.0):
            found = of_horizon["exceedance"].sel(threshold=threshold).values[at[:, 0], at[:, 1]]
            # a probability steps with the dates calibrated on: rarely, a last digit decides
            close = np.abs(found - estimate.exceedance(threshold)[:n]) < 1e-3
            assert close.mean() > 0.95
    flagged = maps["flagged"].values[at[:, 0], at[:, 1]]
    assert (flagged == outlook.flags.flagged[:n]).mean() > 0.98
    season = maps["applicability"].values[at[:, 0], at[:, 1]] & REASON_BITS["new place"] > 0
    assert (season == outlook.flags.reasons["new place"][:n]).all()


@pytest.mark.slow
def test_the_period_before_counts(store: Store, model_folder: Path, cube: Path) -> None:
    """Eight days apart, and 37 % left after ten: 0.449 of weight beside 1."""
    now, at = windows_one_by_one(cube, 1)
    alone = spectm.load(model_folder).estimate(now)[0]
    maps = store.at("2024-07-11", 0.0)
    mean = maps["log10_mean"].values[at[:, 0], at[:, 1]]
    np.testing.assert_allclose(maps["log10_alone"].values[at[:, 0], at[:, 1]], alone, atol=1e-4)
    earlier = store.at("2024-07-03")["log10_alone"].values[at[:, 0], at[:, 1]]
    only_now = np.isnan(earlier)
    assert 0 < only_now.sum() < only_now.size
    np.testing.assert_allclose(mean[only_now], alone[only_now], atol=1e-4)
    assert np.abs(mean[~only_now] - alone[~only_now]).max() > 0.01


@pytest.mark.slow
def test_tiles_leave_no_seams(store: Store, model_folder: Path, cube: Path, tmp_path: Path) -> None:
    """Tiles of six cells, whose windows reach into their neighbours', against one big pass: every bit."""
    run(model_folder, cube, tmp_path / "tiles", side=6)
    tiled = open_store(tmp_path / "tiles")
    for name, whole in store.dataset.data_vars.items():
        np.testing.assert_array_equal(tiled.dataset[name].values, whole.values, err_msg=str(name))


def test_no_data_stays_no_data(store: Store, cube: Path) -> None:
    with open_cube(cube) as opened:
        count, age = opened["count"].values, opened["age"].values
    seen = count > 0
    maps = store.dataset
    assert not seen[:, :3, -3:].any()
    for name in ("microcystin", "log10_mean", "below_detection", "exceedance", "interval_low"):
        finite = np.isfinite(maps[name].values)
        axes = tuple(range(1, finite.ndim - 2))
        np.testing.assert_array_equal(finite.all(axis=axes), seen)
        np.testing.assert_array_equal(finite.any(axis=axes), seen)
    assert (maps["flagged"].values[~seen] == NO_SPECTRUM).all()
    assert set(np.unique(maps["flagged"].values[seen])) <= {0, 1}
    assert (maps["applicability"].values[~seen] == 0).all()
    np.testing.assert_array_equal(maps["n_observations"].values, count)
    np.testing.assert_array_equal(maps["pixel_age"].values, np.where(seen, age, np.nan))


def test_what_the_store_says_of_itself(store: Store, cube: Path, model_folder: Path) -> None:
    record, maps = store.record, store.dataset
    assert (record["format"], record["format_version"]) == ("spectm-predictions", 1)
    assert record["model"]["name"] == "small"
    assert store.cube == cube.resolve()
    assert not Path(record["data"]["cube"]).is_absolute()
    assert record["settings"]["size"] == 3
    assert record["settings"]["resampled"] is False
    assert [one["name"] for one in record["profiles"]] == ["who-2020", "epa-2019"]
    assert store.profiles == tuple(PROFILES)
    assert not store.simulated
    assert set(record["periods"]) == set(maps.attrs["periods"]) == {"2024-07-03", "2024-07-11", "2024-07-19"}
    done = record["periods"]["2024-07-11"]
    assert done["n_estimates"] == int(np.isfinite(store.at("2024-07-11", 0)["microcystin"]).sum())
    assert done["n_flagged"] == int((store.at("2024-07-11")["flagged"] == 1).sum())
    assert list(done["made_from"]) == ["2024-07-03", "2024-07-11"]
    assert maps.attrs["Conventions"] == "CF-1.11"
    assert "dissolved toxin is not included" in maps.attrs["comment"]
    assert "finished water" in maps.attrs["caveat"]
    assert maps.attrs["model_weights_sha256"] == record["model"]["weights_sha256"]
    assert json.loads(maps.attrs["calibration"]) == record["calibration"]
    first, end = maps["time_bnds"].values.T
    np.testing.assert_array_equal(maps["time"].values, first + (end - first) / 2)


class _StopError(Exception):
    pass


def stopping(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the tile after so many ones fail, as a kill would."""
    working, done = predict.predict_tile, []

    def tile(*args):
        if len(done) == after:
            raise _StopError
        done.append(args)
        return working(*args)

    monkeypatch.setattr(predict, "predict_tile", tile)


def same(one: Path, two: Path) -> None:
    xr.testing.assert_identical(open_store(one).dataset.load(), open_store(two).dataset.load())


@pytest.mark.slow
def test_a_stopped_run_goes_on(
    store: Store, model_folder: Path, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stopping(patch, after=6)  # within the second period, of four tiles each
        with pytest.raises(_StopError):
            run(model_folder, cube, out, side=6)
    half = open_store(out)
    assert list(half.record["periods"]) == ["2024-07-03"]
    assert half.dataset.sizes["time"] == 1
    report = run(model_folder, cube, out, side=6)
    assert [str(period.start) for period in report.unchanged] == ["2024-07-03"]
    assert len(report.written) == 2
    same(out, store.folder)
    assert run(model_folder, cube, out).written == []


@pytest.mark.slow
def test_a_run_that_got_nowhere(
    model_folder: Path, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stopping(patch, after=0)
        with pytest.raises(_StopError):
            run(model_folder, cube, tmp_path / "none")
    with pytest.raises(StoreError, match=r"at least one whole period, found none .* same command again"):
        open_store(tmp_path / "none")


@pytest.fixture
def own_cube(cube: Path, tmp_path: Path) -> Path:
    shutil.copytree(cube, tmp_path / "own.zarr")
    return tmp_path / "own.zarr"


@pytest.mark.slow
def test_what_was_composed_anew_is_predicted_anew(model_folder: Path, own_cube: Path, tmp_path: Path) -> None:
    """A late granule changes its period, and by memory the next one, and no other."""
    out = tmp_path / "out"
    run(model_folder, own_cube, out)
    record = period_records(own_cube)["2024-07-03"] | {"granules": [["late.nc", 1]]}
    finish_period(own_cube, period_of(np.datetime64("2024-07-03"), 8), record)
    report = run(model_folder, own_cube, out)
    assert [str(period.start) for period in report.written] == ["2024-07-03", "2024-07-11"]
    assert [str(period.start) for period in report.unchanged] == ["2024-07-19"]


@pytest.mark.slow
def test_latest_first_and_then_all_is_the_same(
    store: Store, model_folder: Path, cube: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run(model_folder, cube, out, periods=("latest",))
    assert [str(period.start) for period in report.written] == ["2024-07-19"]
    assert open_store(out).dataset.sizes["time"] == 1
    run(model_folder, cube, out, periods=("2024-07-05", "2024-07-05"))
    assert open_store(out).dataset.sizes["time"] == 2
    run(model_folder, cube, out)
    same(out, store.folder)


@pytest.mark.slow
def test_a_cube_grows_and_so_does_the_store(model_folder: Path, tmp_path: Path) -> None:
    Rrs = lake(3, (4, 5))
    make_cube(tmp_path / "cube.zarr", Rrs[:2], first=FIRST, wavelength=BANDS_NM)
    run(model_folder, tmp_path / "cube.zarr", tmp_path / "out")
    shutil.rmtree(tmp_path / "cube.zarr")
    make_cube(tmp_path / "cube.zarr", Rrs, first=FIRST, wavelength=BANDS_NM)
    report = run(model_folder, tmp_path / "cube.zarr", tmp_path / "out")
    assert (len(report.written), len(report.unchanged)) == (1, 2)
    run(model_folder, tmp_path / "cube.zarr", tmp_path / "fresh")
    same(tmp_path / "out", tmp_path / "fresh")


@pytest.mark.slow
def test_a_gap_in_the_cube_is_a_gap_in_the_store(model_folder: Path, tmp_path: Path) -> None:
    make_cube(tmp_path / "c.zarr", lake(3, (4, 5)), first=FIRST, wavelength=BANDS_NM, unfinished=(1,))
    report = run(model_folder, tmp_path / "c.zarr", tmp_path / "out")
    assert [str(period.start) for period in report.written] == ["2024-07-03", "2024-07-19"]
    with pytest.raises(StoreError, match="complete period that holds 2024-07-12"):
        plan(model_folder, tmp_path / "c.zarr", tmp_path / "out", PROFILES, periods=("2024-07-12",))


@pytest.mark.slow
def test_a_period_without_a_pixel(model_folder: Path, tmp_path: Path) -> None:
    Rrs = lake(2, (4, 5))
    Rrs[1] = np.nan
    make_cube(tmp_path / "c.zarr", Rrs, first=FIRST, wavelength=BANDS_NM)
    run(model_folder, tmp_path / "c.zarr", tmp_path / "out")
    last = open_store(tmp_path / "out").at("latest")
    assert np.isnan(last["microcystin"].values).all()
    assert (last["flagged"].values == NO_SPECTRUM).all()


@pytest.mark.slow
def test_daily_composites_of_ten_days_count(model_folder: Path, tmp_path: Path) -> None:
    make_cube(tmp_path / "c.zarr", lake(13, (2, 3)), first=FIRST, wavelength=BANDS_NM, days=1)
    job = plan(model_folder, tmp_path / "c.zarr", tmp_path / "out", PROFILES)
    assert job.cells.earlier(12) == tuple(range(2, 12))
    assert job.cells.earlier(1) == (0,)


# What does not belong together is refused


@pytest.mark.slow
def test_other_bands(model_folder: Path, tmp_path: Path) -> None:
    finer = np.arange(398.0, 722.0, 3.0)
    Rrs = np.stack([np.interp(finer, BANDS_NM, one) for one in lake(1, (3, 4)).reshape(-1, BANDS_NM.size)])
    make_cube(tmp_path / "c.zarr", Rrs.reshape(1, 3, 4, -1), first=FIRST, wavelength=finer)
    with pytest.raises(CheckpointError, match=r"trained on other bands.*--resample"):
        run(model_folder, tmp_path / "c.zarr", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(model_folder, tmp_path / "c.zarr", tmp_path / "out", resample=True)
    resampled = open_store(tmp_path / "out")
    assert resampled.record["settings"]["resampled"] is True
    make_cube(tmp_path / "same.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM)
    run(model_folder, tmp_path / "same.zarr", tmp_path / "same", resample=True)
    plain = open_store(tmp_path / "same")
    assert plain.record["settings"]["resampled"] is False
    one, two = (store.at("latest", 0)["log10_mean"].values for store in (resampled, plain))
    np.testing.assert_allclose(one, two, atol=0.3)  # linear between bands, there and back
    with pytest.raises(StoreError, match=r"a cube of wavelength_nm .* found .* another folder"):
        plan(model_folder, tmp_path / "c.zarr", tmp_path / "same", PROFILES, resample=True)


def test_bands_that_do_not_reach_far_enough(model_folder: Path, tmp_path: Path) -> None:
    short = lake(1, (3, 4))[..., :-4]
    make_cube(tmp_path / "c.zarr", short, first=FIRST, wavelength=BANDS_NM)
    with pytest.raises(CheckpointError, match="can't be resampled to the model's 703 nm"):
        plan(model_folder, tmp_path / "c.zarr", tmp_path / "out", PROFILES, resample=True)


def test_surface_reflectance(model_folder: Path, tmp_path: Path) -> None:
    make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM, product="L3M_SFREFL")
    with pytest.raises(PatchError, match="found surface reflectance"):
        plan(model_folder, tmp_path / "c.zarr", tmp_path / "out", PROFILES)


@pytest.mark.slow
def test_a_simulated_cube_says_so(model_folder: Path, tmp_path: Path) -> None:
    make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM, simulated=True)
    run(model_folder, tmp_path / "c.zarr", tmp_path / "out")
    store = open_store(tmp_path / "out")
    assert store.simulated
    assert store.dataset.attrs["simulated"] == 1
    assert "simulated" in store.dataset.attrs["title"]
    assert (store.record["data"]["simulated"], store.record["model"]["simulated"]) == (True, False)


def changed(model_folder: Path, out: Path) -> Path:
    """The same model with another calibration: another model."""
    shutil.copytree(model_folder, out)
    header = json.loads((out / "checkpoint.json").read_text())
    header["calibration"]["current"]["unseen_scale"] *= 1.1
    (out / "checkpoint.json").write_text(json.dumps(header))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 5}, "wanted predictions with windows of size 5, found 3"),
        ({"profiles": PROFILES[:1]}, r'the profiles \["who-2020"\], found \["who-2020", "epa-2019"\]'),
        ({"model": "other"}, "a model whose checkpoint begins"),
        ({"cube": "other"}, "a cube of grid"),
        ({"cube": "moved"}, "predictions of the cube .* 2024-07-03 was composed of other granules"),
    ],
    ids=["size", "profiles", "model", "cube", "granules"],
)
def test_another_store_is_left_alone(
    store: Store, model_folder: Path, cube: Path, tmp_path: Path, options: dict, message: str
) -> None:
    before = (store.folder / "run.json").read_text()
    wanted = {"model": model_folder, "cube": cube, "profiles": PROFILES, "size": 3} | options
    if wanted["model"] == "other":
        wanted["model"] = changed(model_folder, tmp_path / "small")
    if wanted["cube"] == "other":
        wanted["cube"] = make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM)
    if wanted["cube"] == "moved":
        wanted["cube"] = shutil.copytree(cube, tmp_path / "c.zarr")
        finish_period(tmp_path / "c.zarr", period_of(np.datetime64(FIRST), 8), {"granules": [["x", 1]]})
    with pytest.raises(StoreError, match=message):
        plan(wanted["model"], wanted["cube"], store.folder, wanted["profiles"], size=wanted["size"])
    assert (store.folder / "run.json").read_text() == before


def test_a_cube_may_move(store: Store, model_folder: Path, cube: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(cube, tmp_path / "elsewhere.zarr")
    shutil.copytree(store.folder, tmp_path / "out")
    assert run(model_folder, moved, tmp_path / "out").written == []
    assert open_store(tmp_path / "out").cube == moved.resolve()


def test_half_a_store(store: Store, model_folder: Path, cube: Path, tmp_path: Path) -> None:
    shutil.copytree(store.folder, tmp_path / "out")
    (tmp_path / "out" / "run.json").unlink()
    with pytest.raises(
        StoreError, match=r"wanted run.json beside predictions.zarr, found none .* half a store"
    ):
        plan(model_folder, cube, tmp_path / "out", PROFILES)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="wanted a folder to write, found a file"):
        plan(model_folder, cube, tmp_path / "file", PROFILES)


@pytest.mark.slow
def test_maps_that_were_lost_are_made_again(
    store: Store, model_folder: Path, cube: Path, tmp_path: Path
) -> None:
    shutil.copytree(store.folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "predictions.zarr")
    with pytest.raises(StoreError, match=r"wanted the maps .*, found none: .* same command again"):
        open_store(tmp_path / "out")
    run(model_folder, cube, tmp_path / "out")
    same(tmp_path / "out", store.folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("yesterday",), "wanted a day such as 2024-08-12, 'latest' or 'all', found 'yesterday'"),
        (("2023-07-01",), "complete period that holds 2023-07-01, found 3 from 2024-07-03 to 2024-07-19"),
        (("2031-07-01",), "found 3 from 2024-07-03 to 2024-07-19 to 2024-07-26"),
    ],
    ids=["no date", "before", "after"],
)
def test_periods_that_are_not_there(
    model_folder: Path, cube: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        plan(model_folder, cube, tmp_path / "out", PROFILES, periods=words)


def test_a_cube_without_a_whole_period(model_folder: Path, tmp_path: Path) -> None:
    make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM, unfinished=(0,))
    with pytest.raises(StoreError, match="wanted a complete period, found none"):
        plan(model_folder, tmp_path / "c.zarr", tmp_path / "out", PROFILES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers of at least 1"),
        ({"memory_mb": -1.0}, "memory above 0 MB"),
        ({"memory_mb": 1.0}, "wanted memory for one task, about .* MB, found 1 MB"),
    ],
    ids=["workers", "negative", "too little"],
)
def test_too_little_to_work_with(
    model_folder: Path, cube: Path, tmp_path: Path, options: dict, message: str
) -> None:
    job = plan(model_folder, cube, tmp_path / "out", PROFILES)
    with pytest.raises(StoreError, match=message):
        predict_maps(job, **options)
    assert not (tmp_path / "out").exists()


def test_a_window_needs_a_centre(model_folder: Path, cube: Path, tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="odd size of a window, found 4"):
        plan(model_folder, cube, tmp_path / "out", PROFILES, size=4)


@pytest.mark.slow
def test_a_damaged_cube(model_folder: Path, own_cube: Path, tmp_path: Path) -> None:
    for chunk in (own_cube / "Rrs" / "c" / "1").rglob("*"):
        if chunk.is_file():
            chunk.unlink()  # zarr takes a chunk that is gone for missing values
    with pytest.raises(CubeError, match=r"spectrum in every cell with a count.*2024-07-11"):
        run(model_folder, own_cube, tmp_path / "out")
    assert list(open_store(tmp_path / "out").record["periods"]) == ["2024-07-03"]


@pytest.mark.slow
def test_progress_counts_every_tile(model_folder: Path, cube: Path, tmp_path: Path) -> None:
    said = []
    job = plan(model_folder, cube, tmp_path / "out", PROFILES, periods=("latest",))
    predict_maps(job, workers=2, side=64, progress=lambda *words: said.append(words))
    assert said == [(0, 1, ""), (1, 1, "2024-07-19 to 2024-07-26")]


@pytest.mark.slow
def test_tensors_have_their_threads_back(model_folder: Path, cube: Path, tmp_path: Path) -> None:
    tiles.torch.set_num_threads(2)
    run(model_folder, cube, tmp_path / "out", periods=("latest",))
    assert tiles.torch.get_num_threads() == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_two_workers_and_a_cluster_give_the_identical_maps(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two periods of four tiles each, against tiles as large as the lake."""
    Rrs = lake(2, (70, 66))
    cube = make_cube(tmp_path / "c.zarr", Rrs, first=FIRST, wavelength=BANDS_NM)
    n_cells = np.isfinite(Rrs).all(axis=-1).sum()
    assert run(model_folder, cube, tmp_path / "one", side=128).n_estimates == n_cells

    both = threading.Barrier(2, timeout=PATIENCE_S)  # a tile waits for another one: two work at once
    workers, work = set(), predict.predict_tile

    def meet(*task):
        both.wait()
        workers.add(threading.get_ident())
        return work(*task)

    with monkeypatch.context() as patch:
        patch.setattr(predict, "predict_tile", meet)
        predict_maps(plan(model_folder, cube, tmp_path / "two", PROFILES), workers=2)
    assert len(workers) == 2
    same(tmp_path / "one", tmp_path / "two")

    with two_workers() as (address, done):
        predict_maps(plan(model_folder, cube, tmp_path / "three", PROFILES), cluster=address)
    assert (len(done), len(set(done))) == (8, 2)
    same(tmp_path / "one", tmp_path / "three")


def test_no_scheduler(model_folder: Path, cube: Path, tmp_path: Path) -> None:
    job = plan(model_folder, cube, tmp_path / "out", PROFILES)
    with pytest.raises(CubeError, match=r"wanted a dask.distributed scheduler"):
        predict_maps(job, cluster="no-such-scheme://127.0.0.1:1")
    assert not (tmp_path / "out").exists()
