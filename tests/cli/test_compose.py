from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spectm.cli.main import main
from spectm.data.cube import open_cube
from tests.data.granules import damage, swath_grid, write_l2_granule
from tests.processes import python

BANDS = np.array([442.0, 490.0, 555.0, 665.0, 709.0])
REGION = "--region=-83.5,41.4,-83.3,41.6"


@pytest.fixture
def granules(tmp_path: Path) -> Path:
    folder = tmp_path / "granules"
    folder.mkdir()
    latitude, longitude = swath_grid(20, 20, south=41.405, west=-83.495, tilt=0)
    for day in (4, 5):
        write_l2_granule(
            folder / f"PACE_OCI.2024080{day}T175305.L2.OC_AOP.V3_1.nc",
            latitude=latitude,
            longitude=longitude,
            Rrs=np.full((20, 20, 5), day / 1000),
            wavelength=BANDS,
            time=f"2024-08-0{day}T17:53:05",
            flags={"LAND": [(0, 0)]},
        )
    return folder


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.slow
def test_compose_says_what_it_made_and_a_second_run_that_nothing_changed(granules, tmp_path, capsys) -> None:
    words = ("compose", granules, REGION, "--out", tmp_path / "c.zarr", "--resolution", 0.02)
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "1 periods composed, 0 left as they were" in said
    assert "1 periods, 10 x 10 cells, 5 bands" in said
    assert run(*words) == 0
    assert "0 periods composed, 1 left as they were" in capsys.readouterr().out
    with open_cube(tmp_path / "c.zarr") as cube:
        assert float(cube["Rrs"].mean()) == pytest.approx(0.0045, abs=1e-6)
        assert int(cube["count"].sum()) == 2 * (400 - 1)


@pytest.mark.slow
def test_options_reach_the_cube(granules, tmp_path) -> None:
    out = tmp_path / "c.zarr"
    words = [
        "--days",
        1,
        "--flags",
        "none",
        "--statistic",
        "median",
        "--start",
        "2024-08-05",
        "--end",
        "2024-08-06",
    ]
    assert run("compose", granules, REGION, "--out", out, *words, "--workers", 1, "--memory", 100) == 0
    with open_cube(out) as cube:
        assert cube["time"].values.astype("datetime64[D]").astype(str).tolist() == [
            "2024-08-05",
            "2024-08-06",
        ]
        assert cube["count"].sum(("lat", "lon")).values.tolist() == [400, 0]
        assert cube.attrs["layout"]["statistic"] == "median"


@pytest.mark.slow
def test_a_bad_granule_is_named_at_the_end_and_the_exit_code_is_1(granules, tmp_path, capsys) -> None:
    (granules / "torn.nc").write_bytes(b"\x89HDF\r\n\x1a\n and then nothing")
    assert run("compose", granules, REGION, "--out", tmp_path / "c.zarr") == 1
    said = capsys.readouterr()
    assert "1 periods composed" in said.out
    assert "not used: torn.nc: wanted a complete netCDF-4 file" in said.err.splitlines()[-1]


def test_dates_and_regions_that_are_none_are_refused(granules, tmp_path, capsys) -> None:
    assert run("compose", granules, REGION, "--out", tmp_path / "c.zarr", "--start", "June") == 1
    assert "wanted a date such as 2024-06-01, found 'June'" in capsys.readouterr().err
    assert run("compose", granules, "--region", "lake-eire", "--out", tmp_path / "c.zarr") == 1
    assert "Did you mean lake-erie" in capsys.readouterr().err


@pytest.mark.slow
def test_inspect_describes_and_draws_a_cube(granules, tmp_path, capsys) -> None:
    out, picture = tmp_path / "c.zarr", tmp_path / "look.png"
    run("compose", granules, REGION, "--out", out, "--resolution", 0.02)
    capsys.readouterr()
    assert run("inspect", out, "--picture", picture) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "composites of L2_AOP, mean over 8 days" in said
    assert "periods 1, from 2024-08-04 to 2024-08-04" in said
    assert "pixels 800 seen, 798 used" in said
    assert "Rrs 555 nm sr-1 100.0 0.0045 0.0045 0.0045" in said
    assert "count 1 100.0" in said
    with Image.open(picture) as image:
        assert min(image.size) > 200
    assert run("inspect", out, "--region=-83.5,41.5,-83.4,41.6") == 0
    assert "41.510 to 41.590" in capsys.readouterr().out
    assert run("inspect", out, "--region=10,10,11,11") == 1
    assert "wanted cells in 10,10,11,11, found none" in capsys.readouterr().err


@pytest.mark.slow
def test_a_twin_that_stands_in_is_named(granules, tmp_path, capsys) -> None:
    latitude, longitude = swath_grid(20, 20, south=41.405, west=-83.495, tilt=0)
    name = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1"
    write_l2_granule(
        granules / f"{name}.NRT.nc",
        latitude=latitude,
        longitude=longitude,
        Rrs=np.full((20, 20, 5), 0.006),
        wavelength=BANDS,
        near_real_time=True,
    )
    damage(granules / f"{name}.nc")
    words = ("compose", granules, REGION, "--out", tmp_path / "c.zarr", "--days", 1)
    assert run(*words) == 1
    said = capsys.readouterr()
    assert f"used {name}.NRT.nc in place of {name}.nc, which is damaged" in said.out.splitlines()
    assert said.err.startswith(f"not used: {name}.nc: ")  # and no bar: this is no terminal
    with open_cube(tmp_path / "c.zarr") as cube:
        assert float(cube["Rrs"][0].mean()) == pytest.approx(0.006, abs=1e-6)


LIMITED = """
import resource, sys
from spectm.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_half_written(granules, tmp_path) -> None:
    """A limit to the size of a file stands for the disk: both are told by the same call."""
    out, full = tmp_path / "c.zarr", tmp_path / "full.zarr"
    assert run("compose", granules, REGION, "--out", out) == 0
    found = python("-c", LIMITED, "100000", "patches", str(out), "--out", str(tmp_path / "p.nc"))
    assert (found.returncode, found.stdout) == (1, "")
    assert "bytes in" in found.stderr
    assert "found File too large" in found.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.zarr", "granules"]
    words = ("compose", str(granules), REGION, "--out", str(full))
    found = python("-c", LIMITED, "3000", *words)
    assert found.returncode == 1
    assert "spectm compose: wanted to read or write, found: [Errno 27] File too large" in found.stderr
    assert not full.exists() or open_cube(full).sizes["time"] == 0
    assert python("-c", LIMITED, "1000000", *words).returncode == 0  # there is room again
    with open_cube(out) as one, open_cube(full) as two:
        assert one.identical(two)
