"""`spectm predict --cube`: what it prints, what it refuses in one line, and that Ctrl-C costs nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spectm.apps import predict
from spectm.apps.store import open_store
from spectm.cli.main import main
from spectm.data.cube import open_cube
from tests.apps.conftest import FIRST, lake
from tests.data.cubes import make_cube
from tests.study import BANDS_NM


@pytest.fixture
def call(model_folder: Path, cube: Path, capsys: pytest.CaptureFixture[str]):
    """Run the command with model and cube, and return its exit code and what it printed."""

    def run(*words: object, **given: Path) -> tuple[int, str, str]:
        options = {"model": model_folder, "cube": cube} | given
        named = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        code = main(["predict", *named, *map(str, words)])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.fixture
def places(cube: Path, tmp_path: Path) -> Path:
    """A station that is seen in the last period, and a place far away."""
    with open_cube(cube) as opened:
        row, column = np.argwhere(opened["count"].values[2] > 0)[0]
        north, east = float(opened["lat"][row]), float(opened["lon"][column])
    path = tmp_path / "stations.csv"
    path.write_text(f"name,latitude,longitude\nhere,{north},{east}\nfar,0,0\n")
    return path


@pytest.mark.slow
def test_maps_and_points(call, places: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--out", out, "--period", "latest", "--points", places, "--workers", "1")
    code, printed, errors = call(*words, "--profile", "epa-2019", "--profile", "who-2020")
    assert (code, errors) == (0, "")
    assert "1 periods predicted, 0 left as they were" in printed
    assert "2 rows of points, 2 lines, 1 with an estimate" in printed
    assert "1 without: outside the cube" in printed
    assert "epa-2019: " in printed
    assert "Dissolved microcystin comes on top" in printed
    assert printed.endswith(f"wrote {out}\n")
    store = open_store(out)
    assert store.dataset.sizes["time"] == 1
    assert [one.name for one in store.profiles] == ["epa-2019", "who-2020"]
    assert store.points is not None
    assert store.points["reason"].tolist() == ["", "outside the cube"]
    assert "above_8_probability" in store.points
    code, printed, _ = call(*words, "--profile", "epa-2019", "--profile", "who-2020")
    assert "0 periods predicted, 1 left as they were" in printed


def test_only_points(call, places: Path, tmp_path: Path) -> None:
    code, printed, _ = call("--out", tmp_path / "out", "--points", places, "--only-points")
    assert code == 0
    assert "2 rows of points, 6 lines" in printed
    assert "periods predicted" not in printed
    assert not (tmp_path / "out" / "predictions.zarr").exists()


@pytest.mark.slow
def test_simulated_is_said(call, tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=BANDS_NM, simulated=True)
    code, _, errors = call("--out", tmp_path / "out", cube=cube)
    assert (code, errors) == (0, "note: simulated cube\n")


@pytest.mark.slow
def test_resampling_is_said(call, tmp_path: Path) -> None:
    shifted = BANDS_NM + 1.0
    cube = make_cube(tmp_path / "c.zarr", lake(1, (3, 4)), first=FIRST, wavelength=shifted)
    code, _, errors = call("--out", tmp_path / "out", cube=cube)
    assert (code, errors.count("\n")) == (1, 1)
    assert "--resample" in errors
    code, _, errors = call("--out", tmp_path / "out", "--resample", cube=cube)
    assert (code, errors) == (0, "note: the cube is resampled to the model's bands\n")
    resampling = json.loads((tmp_path / "out" / "run.json").read_text())["data"]["resampling"]
    assert resampling["from_nm"] == list(shifted)
    assert len(resampling["to_nm"]) == len(shifted)
    assert resampling["method"].startswith("linear interpolation")


@pytest.mark.slow
def test_ctrl_c_says_that_it_goes_on(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, working = [], predict.predict_tile

    def tile(*args):
        if done:
            raise KeyboardInterrupt
        done.append(args)
        return working(*args)

    monkeypatch.setattr(predict, "predict_tile", tile)
    code, _, errors = call("--out", tmp_path / "out", "--workers", "1")
    assert (code, errors) == (130, "\nspectm predict: interrupted (the same command goes on from here)\n")
    monkeypatch.undo()
    code, printed, _ = call("--out", tmp_path / "out", "--workers", "1")
    assert "2 periods predicted, 1 left as they were" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--profile", "who-2021"), "no threshold profile named 'who-2021'; did you mean 'who-2020'?"),
        (("--period", "2031-01-01"), "wanted a complete period that holds 2031-01-01"),
        (("--size", "2"), "wanted an odd size of a window"),
        (("--memory", "1"), "wanted memory for one task"),
        (("--points", "no-such.csv"), "found nothing at no-such.csv"),
        (("--only-points",), "--only-points wants --points FILE"),
    ],
    ids=["profile", "period", "size", "memory", "points", "only points"],
)
def test_bad_options(call, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, printed, errors = call("--out", tmp_path / "out", *words)
    assert (code, printed, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("spectm predict: ")
    assert message in errors
    assert not (tmp_path / "out").exists()


def test_no_cube_and_no_model(call, tmp_path: Path) -> None:
    code, _, errors = call("--out", tmp_path / "out", cube=tmp_path / "none.zarr")
    assert (code, "wanted a cube, found nothing" in errors) == (1, True)
    code, _, errors = call("--out", tmp_path / "out", model=Path("erie-1066"))
    assert (code, "one of the released models" in errors) == (1, True)


def test_patches_have_no_periods(model_folder: Path, tmp_path: Path, capsys) -> None:
    words = ["predict", "--model", str(model_folder), "--patches", "p.nc", "--out", str(tmp_path / "x.csv")]
    for option in (["--period", "latest"], ["--only-points"], ["--workers", "2"]):
        assert main([*words, *option]) == 1
        assert f"{option[0]} is an option of --cube" in capsys.readouterr().err


def test_either_a_cube_or_patches(capsys: pytest.CaptureFixture[str]) -> None:
    for data in ([], ["--cube", "a", "--patches", "b"]):
        with pytest.raises(SystemExit) as ended:
            main(["predict", "--model", "m", "--out", "o", *data])
        assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder(call, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    code, _, errors = call("--out", tmp_path / "out")
    assert (code, "wanted a folder to write, found a file" in errors) == (1, True)


def test_a_network_is_for_patches(call, model_folder: Path, tmp_path: Path) -> None:
    network = shutil.copytree(model_folder, tmp_path / "network")
    header = (network / "checkpoint.json").read_text()
    (network / "checkpoint.json").write_text(header.replace('"kind": "forecaster"', '"kind": "regressor"'))
    code, _, errors = call("--out", tmp_path / "out", model=network)
    assert code == 1
    assert "wanted a 'forecaster' to predict a cube with, found a 'regressor'" in errors
