"""The store as everything else reads it, and what it refuses to be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spectm.apps.fields import NO_SPECTRUM, REASON_BITS, as_kept, fields_of, reasons_of
from spectm.apps.store import Store, open_store
from spectm.data.context import DETECTION_LIMIT
from spectm.errors import StoreError
from spectm.trust.applicability import REASONS, Flags
from spectm.trust.estimate import Estimate
from spectm.trust.thresholds import profile
from tests.apps.stores import made_up_calibration, make_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("made-up") / "store")


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return open_store(folder)


def test_what_is_there(store: Store) -> None:
    sizes = {"time": 3, "horizon": 2, "lat": 6, "lon": 8, "level": 2, "threshold": 4, "nv": 2}
    assert dict(store.dataset.sizes) == sizes
    assert store.dataset["horizon"].values.tolist() == [0.0, 8.0]
    assert store.dataset["level"].values.tolist() == [0.5, 0.9]
    assert store.dataset["threshold"].values.tolist() == [1.0, 8.0, 12.0, 24.0]
    assert str(store.dataset["time"].values[0])[:13] == "2024-08-08T00"  # the middle of 4 to 11 August
    assert store.profiles == (profile("who-2020"), profile("epa-2019"))
    assert store.horizons == (0.0, 8.0)
    assert store.simulated
    assert store.points is None


def test_any_other_threshold_can_be_asked(store: Store) -> None:
    """Of stored thresholds the very numbers; of another one, between its neighbours'."""
    for horizon in (0.0, 8.0):
        maps = store.at("2024-08-13", horizon)["exceedance"]
        for value in (1.0, 8.0, 12.0, 24.0):
            found = store.exceedance(value, "2024-08-13", horizon).values.astype(np.float32)
            np.testing.assert_array_equal(found, maps.sel(threshold=value).values)
        between = store.exceedance(3.0, "2024-08-13", horizon)
        seen = np.isfinite(between.values)
        assert (between.values[seen] <= maps.sel(threshold=1.0).values[seen] + 1e-6).all()
        assert (between.values[seen] >= maps.sel(threshold=8.0).values[seen] - 1e-6).all()
        np.testing.assert_array_equal(between["lat"], store.dataset["lat"])


def test_any_other_interval_too(store: Store) -> None:
    low, high = store.interval(0.9)
    stored = store.at("latest", 0.0)
    np.testing.assert_array_equal(low.values.astype(np.float32), stored["interval_low"].sel(level=0.9).values)
    np.testing.assert_array_equal(
        high.values.astype(np.float32), stored["interval_high"].sel(level=0.9).values
    )
    inner_low, inner_high = store.interval(0.8)
    seen = np.isfinite(low.values)
    assert (inner_low.values >= low.values)[seen].all()
    assert (inner_high.values <= high.values)[seen].all()
    assert low.values[seen].min() >= DETECTION_LIMIT


def test_the_calibration_is_the_one_of_the_horizon(store: Store) -> None:
    assert store.calibration["current"].to_dict() == made_up_calibration().to_dict()
    assert store.estimate("latest", 8.0).calibration.to_dict() == made_up_calibration(0.8).to_dict()


@pytest.mark.parametrize(
    ("time", "position"),
    [("latest", 2), ("2024-08-04", 0), ("2024-08-11T23:59", 0), (np.datetime64("2024-08-12"), 1), (1, 1)],
)
def test_periods_by_a_moment_in_them(store: Store, time, position: int) -> None:
    assert store.position(time) == position


def test_questions_without_an_answer(store: Store) -> None:
    with pytest.raises(
        StoreError, match=r"whole period that holds 2024-08-28, found 3 from 2024-08-04 to 2024-08-27"
    ):
        store.at("2024-08-28")
    with pytest.raises(StoreError, match="one of the horizons 0, 8 days, found 4"):
        store.at("latest", 4.0)
    with pytest.raises(StoreError, match="threshold above 0"):
        store.exceedance(0.0)
    with pytest.raises(StoreError, match="level between 0 and 1"):
        store.interval(90)


def test_reasons_by_the_files_own_table(store: Store) -> None:
    bits = REASON_BITS["season"] + REASON_BITS["new place"]
    assert store.reasons(bits) == ("season", "new place") == reasons_of(bits)
    assert store.reasons(0) == ()
    attrs = store.dataset["applicability"].attrs
    assert attrs["flag_meanings"].split() == [name.replace(" ", "_") for name in REASONS]
    assert attrs["flag_masks"] == [2**i for i in range(len(REASONS))]


@pytest.mark.slow
def test_what_is_not_whole_is_not_there(tmp_path: Path) -> None:
    one = open_store(make_store(tmp_path / "one", unfinished=(1,)))
    assert one.dataset.sizes["time"] == 2
    assert one.position("2024-08-25") == 1
    with pytest.raises(StoreError, match="holds 2024-08-14"):
        one.at("2024-08-14")
    with pytest.raises(StoreError, match="at least one whole period"):
        open_store(make_store(tmp_path / "two", n_periods=1, unfinished=(0,)))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"found nothing at .*spectm predict --cube"):
        open_store(tmp_path / "none")
    with pytest.raises(StoreError, match="found a folder without it"):
        open_store(tmp_path)


def test_a_newer_format(copy: Path) -> None:
    edit(copy / "run.json", format_version=2)
    with pytest.raises(StoreError, match=r"version 1 or older, found 2 .* Use a newer spectm"):
        open_store(copy)


def test_newer_maps(copy: Path) -> None:
    header = json.loads((copy / "predictions.zarr" / "zarr.json").read_text())
    header["attributes"]["format_version"] = 3
    (copy / "predictions.zarr" / "zarr.json").write_text(json.dumps(header))
    with pytest.raises(StoreError, match=r"version 1 or older, found 3 .* Use a newer spectm"):
        open_store(copy)


def test_another_programs_folder(copy: Path) -> None:
    edit(copy / "run.json", format="something-else")
    with pytest.raises(StoreError, match=r"wanted predictions of spectm .* found 'something-else'"):
        open_store(copy)


def test_a_damaged_record(copy: Path) -> None:
    (copy / "run.json").write_text('{"format": "spectm-pred')
    with pytest.raises(StoreError, match="wanted the record of a run, could not read"):
        open_store(copy)


def test_damaged_maps(copy: Path) -> None:
    (copy / "predictions.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(StoreError, match=r"could not read|wanted predictions of spectm"):
        open_store(copy)


def test_points_without_maps(copy: Path) -> None:
    shutil.rmtree(copy / "predictions.zarr")
    edit(copy / "run.json", maps=False)
    with pytest.raises(StoreError, match=r"wanted maps or points.csv, found neither"):
        open_store(copy)
    (copy / "points.csv").write_text(
        "latitude,longitude,flagged,reasons,reason\n41,-83,no,,\n42,-83,,,no position\n"
    )
    points = open_store(copy)
    assert points.points is not None
    assert points.points["reason"].tolist() == ["", "no position"]
    with pytest.raises(StoreError, match=r"wanted maps, found points only .* --only-points"):
        assert points.dataset


def test_fields_by_hand() -> None:
    """A mean of 1 ug/L: an even chance to lie above 1, and of two places the second was not seen."""
    calibration = made_up_calibration()
    estimate = Estimate(
        mean=np.array([0.0, np.nan]), spread=np.array([0.3, np.nan]), calibration=calibration, least=0.1
    )
    reasons = {name: np.array([name == "season", True]) for name in REASONS}
    flags = Flags(flagged=np.array([True, True]), reasons=reasons, distance={})
    fields = fields_of([estimate, estimate], flags, (1.0, 8.0))
    assert {name: values.shape for name, values in fields.items()} == {
        "microcystin": (2, 2),
        "interval_low": (2, 2, 2),
        "interval_high": (2, 2, 2),
        "exceedance": (2, 2, 2),
        "below_detection": (2, 2),
        "log10_mean": (2, 2),
        "log10_spread": (2, 2),
        "applicability": (2,),
        "flagged": (2,),
    }
    assert fields["microcystin"][0, 0] == 1.0
    assert fields["exceedance"][0, 0, 0] == pytest.approx(0.5, abs=1e-6)
    assert fields["exceedance"][0, 1, 0] < 0.1
    assert np.isnan(fields["exceedance"][..., 1]).all()
    reach = calibration.radius(0.9) * 0.3
    assert fields["interval_high"][0, 1, 0] == pytest.approx(10**reach, rel=1e-5)
    assert fields["applicability"].tolist() == [256, 0]
    assert fields["flagged"].tolist() == [1, NO_SPECTRUM]


def test_what_is_kept_is_what_is_asked() -> None:
    """A mean that rounds over a step of the calibration takes its probability along."""
    estimate = Estimate(
        mean=np.array([0.1]), spread=np.array([0.3]), calibration=made_up_calibration(), least=0.1
    )
    kept = as_kept(estimate)
    assert kept.mean[0] == np.float64(np.float32(0.1)) != 0.1
