import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spectm.cli import main as main_module
from spectm.cli.main import main
from spectm.data.labels import read_labels
from spectm.data.matchups import ahead_matchups, current_matchups
from spectm.data.patches import partners, read_patches
from tests.data.cubes import make_cube, numbered
from tests.data.granules import swath_grid, write_l2_granule

NM = np.array([443.0, 560, 665])


@pytest.fixture(autouse=True)
def _both_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("patches", "matchups"):
        monkeypatch.setitem(main_module.COMMANDS, name, "under test")


@pytest.fixture
def granules(tmp_path: Path) -> Path:
    """Folder of two days of one place, eight days apart; the second also as its near-real-time twin."""
    folder = tmp_path / "granules"
    folder.mkdir()
    latitude, longitude = swath_grid(8, 8, tilt=0.0)
    for name, day, near_real_time in (
        ("PACE_OCI.20240804T180000.L2.OC_AOP.V3_1.nc", "2024-08-04", False),
        ("PACE_OCI.20240812T180000.L2.OC_AOP.V3_1.nc", "2024-08-12", False),
        ("PACE_OCI.20240812T180000.L2.OC_AOP.V3_1.NRT.nc", "2024-08-12", True),
    ):
        write_l2_granule(
            folder / name,
            latitude=latitude,
            longitude=longitude,
            Rrs=np.full((8, 8, 3), 0.02 if near_real_time else 0.01),
            wavelength=NM,
            time=f"{day}T18:00:00",
            near_real_time=near_real_time,
            flags={"CLDICE": [(3, 2), (3, 3)], "CHLWARN": [(5, 4)]},
        )
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "lab.csv"
    path.write_text(
        "station,time,microcystin,latitude,longitude\n"
        "Pier,2024-08-04T20:00Z,1.5,41.44,-83.47\n"
        "Pier,2024-08-12T20:00Z,<0.1,41.44,-83.47\n"
        "Pier,2024-09-12T20:00Z,0.7,41.44,-83.47\n"
        "Lost,2024-08-12T20:00Z,0.7,,\n"
    )
    return path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that should refuse, and return its one line."""

    def call(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        found = capsys.readouterr().err
        assert found.startswith(f"spectm {words[0]}: ")
        assert found.count("\n") == 1, found
        return found

    return call


def call(*words: object) -> int:
    return main([str(word) for word in words])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_matchups_writes_a_row_for_every_sample(
    tmp_path: Path, granules: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "matchups.csv"
    assert call("matchups", "--granules", granules, "--labels", labels, "--out", out) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        "samples 4, files 1, values dropped 0, notes 0",
        "left out PACE_OCI.20240812T180000.L2.OC_AOP.V3_1.NRT.nc: "
        "PACE_OCI.20240812T180000.L2.OC_AOP.V3_1.nc replaces it",
        "2 of 4 surface samples have an overpass",
        "       1  no position",
        "       1  no granule within hours",
        f"wrote {out}",
    ]
    rows = rows_of(out)
    assert [row["station"] for row in rows] == ["Pier", "Lost", "Pier", "Pier"]
    assert [row["reason"] for row in rows] == ["", "no position", "", "no granule within hours"]
    assert [row["n_valid"] for row in rows] == ["7", "", "7", ""]
    assert rows[2]["granule"] == "PACE_OCI.20240812T180000.L2.OC_AOP.V3_1.nc"
    assert [file.name for file in out.parent.iterdir()] == ["matchups.csv"]


@pytest.mark.slow
def test_every_option_of_matchups_reaches_the_search(
    tmp_path: Path, granules: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reasons(*words: object) -> list[str]:
        out = tmp_path / "matchups.csv"
        call("matchups", "--granules", granules, "--labels", labels, "--out", out, *words)
        return [row["reason"] for row in rows_of(out) if row["station"] == "Pier"]

    assert reasons("--max-hours", 1.9) == ["no granule within hours"] * 3
    assert reasons("--max-hours", 1000) == ["", "", ""]
    assert reasons("--min-valid", 8)[:2] == ["too few valid pixels"] * 2
    assert reasons("--min-valid", 8, "--flags", "COCCOLITH")[:2] == ["", ""]
    assert reasons("--flags", "standard", "--min-valid", 7)[:2] == ["too few valid pixels"] * 2
    assert reasons("--min-valid", 0.78)[:2] == ["too few valid pixels"] * 2  # 8 of 9
    assert reasons("--size", 1, "--min-valid", 1.0)[:2] == ["", ""]
    assert reasons("--max-km", 0.0001, "--max-hours", 1000) == ["nearest pixel too far"] * 3
    assert reasons("--max-cv", 0.15)[:2] == ["", ""]


@pytest.mark.slow
def test_patches_of_all_overpasses_are_what_evaluate_reads(
    tmp_path: Path, granules: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, stations = tmp_path / "matchups.csv", tmp_path / "stations.nc"
    words = ("--granules", granules, "--labels", labels, "--out", out, "--write-patches", stations)
    assert call("matchups", *words) == 0
    assert capsys.readouterr().out.endswith(f"wrote {stations}: 2 patches\n")
    patches, record = read_patches(stations), read_labels(labels)
    assert np.nanmax(patches.Rrs) == pytest.approx(0.01, abs=1e-6)  # the final granule, not its twin
    assert partners(patches).tolist() == [1, -1]
    assert current_matchups(patches, record)["hours_apart"].round(2).tolist() == [2, 2]
    assert ahead_matchups(patches, record)["observed"].tolist() == [0.1]


@pytest.mark.slow
def test_a_bad_granule_is_listed_and_the_rest_goes_through(
    tmp_path: Path, granules: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (granules / "PACE_OCI.20240804T180000.L2.OC_AOP.V3_1.nc").read_bytes()
    (granules / "half.nc").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "matchups.csv"
    assert call("matchups", "--granules", granules, "--labels", labels, "--out", out) == 1
    printed = capsys.readouterr()
    assert "2 of 4 surface samples have an overpass" in printed.out
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("not used: half.nc: wanted a complete netCDF-4 file")


@pytest.mark.slow
def test_matchups_from_a_cube(
    tmp_path: Path, labels: Path, fails: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(2, 5, 5), north=41.465, west=-83.495, resolution=0.01)
    out, stations = tmp_path / "matchups.csv", tmp_path / "stations.nc"
    words = ("--cube", cube, "--labels", labels, "--out", out)
    assert call("matchups", *words, "--max-hours", 96, "--write-patches", stations) == 0
    rows = rows_of(out)
    assert [row["overpass_time"] for row in rows] == [
        "2024-08-08T00:00:00Z",
        "",
        "2024-08-16T00:00:00Z",
        "",
    ]
    assert [row["hours_apart"] for row in rows] == ["-76", "", "-76", ""]
    assert rows[0]["granule"] == "a.zarr 2024-08-04 to 2024-08-11"
    assert read_patches(stations).n_samples == 2
    assert "its flags were chosen when it was composed" in fails("matchups", *words, "--flags", "bloom")


@pytest.mark.slow
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, granules: Path, labels: Path, fails: Callable[..., str]
) -> None:
    out = ("--out", tmp_path / "m.csv")
    assert "found nothing at" in fails("matchups", "--granules", tmp_path / "no", "--labels", labels, *out)
    assert "found nothing at" in fails("matchups", "--cube", tmp_path / "no", "--labels", labels, *out)
    no_labels = ("--labels", tmp_path / "no.csv")
    assert "no.csv: wanted a CSV file or a folder" in fails(
        "matchups", "--granules", granules, *no_labels, *out
    )
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.nc").write_text("no granule")
    assert "found none that can be used. First:" in fails(
        "matchups", "--granules", bad, "--labels", labels, *out
    )
    strict = ("--max-km", 0.0001, "--write-patches", tmp_path / "s.nc")
    assert "found none that can be used" in fails(
        "matchups", "--granules", granules, "--labels", labels, *out, *strict
    )
    assert (
        rows_of(tmp_path / "m.csv")[0]["reason"] == "nearest pixel too far"
    )  # the table is there all the same


def test_one_source_is_wanted(granules: Path, labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--granules", granules, "--cube", "a.zarr")):
        with pytest.raises(SystemExit) as caught:
            call("matchups", "--labels", labels, "--out", "m.csv", *words)
        assert caught.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.slow
def test_patches_cuts_a_cube(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube, out = make_cube(tmp_path / "a.zarr", numbered(2, 6, 9)), tmp_path / "out" / "p.nc"
    assert call("patches", cube, "--out", out) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == f"wrote {out}: 12 patches of 3 x 3 cells at 6 places in 2 periods\n"
    patches = read_patches(out)
    assert partners(patches).tolist() == [6, 7, 8, 9, 10, 11] + [-1] * 6
    assert call("patches", cube, "--out", out, "--size", 5, "--stride", 2, "--min-valid", 25) == 0
    assert read_patches(out).station.tolist() == ["r0002c0002", "r0002c0004", "r0002c0006"] * 2
    assert call("patches", cube, "--out", out, "--region=-83.5,41.9,-83.45,41.95", "--memory", 0.001) == 0
    assert read_patches(out).station.tolist() == ["r0004c0001"] * 2


@pytest.mark.slow
def test_patches_refuses_in_one_line(tmp_path: Path, fails: Callable[..., str]) -> None:
    out = ("--out", tmp_path / "p.nc")
    assert "found nothing at" in fails("patches", tmp_path / "no.zarr", *out)
    land = make_cube(tmp_path / "land.zarr", numbered(1, 3, 3), product="L3M_SFREFL")
    assert "found surface reflectance (rhos" in fails("patches", land, *out)
    assert "odd size of a window, found 4" in fails("patches", land, *out, "--size", 4)
    water = shutil.copytree(
        make_cube(tmp_path / "a.zarr", np.full((1, 3, 3, 3), np.nan)), tmp_path / "b.zarr"
    )
    assert "0 cells ever valid" in fails("patches", water, *out)
    with pytest.raises(SystemExit):
        main(["patches", str(water), "--out", "p.nc", "--min-valid", "half"])
