import csv
import io
from pathlib import Path

import numpy as np
import pytest

from spectm.cli.main import main
from spectm.data.patches import Patches, write_patches
from tests.data.granules import swath_grid, write_l2_granule, write_l3_file

NM = np.array([443, 465, 555, 645, 681])


@pytest.fixture(scope="module")
def swath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten lines x 8 pixels, 0.01 degrees apart from 41.4 N, 83.5 W; land in the south, and a cloud."""
    latitude, longitude = swath_grid(10, 8, tilt=0.0)
    Rrs = np.full((10, 8, 5), 0.004)
    Rrs[0, :, :] = np.nan
    Rrs[5, 5, 2] = -0.0125
    return write_l2_granule(
        tmp_path_factory.mktemp("granules") / "swath.nc",
        latitude=latitude,
        longitude=longitude,
        Rrs=Rrs,
        wavelength=NM,
        flags={
            "LAND": [(0, pixel) for pixel in range(8)],
            "CLDICE": [(0, 0), (4, 4), (4, 5)],
            "CHLWARN": [(6, 6)],
            "TURBIDW": [(7, 7)],
        },
        near_real_time=True,
    )


@pytest.fixture(scope="module")
def plain_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps") / "map.nc"
    lat, lon = np.array([42.0, 41]), np.array([-84.0, -83, -82])
    return write_l3_file(path, lat=lat, lon=lon, values=0.003, wavelength=NM)


def lines_of(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out.splitlines()


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    return found.err


# spectm flags


def test_the_table_of_flags(swath: Path, capsys) -> None:
    lines = lines_of(capsys, "flags", swath)
    assert lines[0] == "swath.nc: 80 pixels in the file; excluding: standard"
    rows = {line.split()[0]: line.split()[1:] for line in lines[4:8]}
    assert rows == {
        "LAND": ["yes", "8", "10.00", "7"],
        "CLDICE": ["yes", "3", "3.75", "2"],
        "TURBIDW": ["1", "1.25"],
        "CHLWARN": ["yes", "1", "1.25", "1"],
    }
    assert lines[-3].startswith("on no pixel: ATMFAIL, PRODWARN, HIGLINT")
    assert lines[-1] == "left: 69 of 80 pixels (86.2 %)"


@pytest.mark.slow
def test_other_flags_and_a_region(swath: Path, capsys) -> None:
    """The preset for blooms keeps CHLWARN; the region holds lines 4 to 7 and pixels 4 to 7."""
    assert lines_of(capsys, "flags", swath, "--flags", "bloom")[-1] == "left: 70 of 80 pixels (87.5 %)"
    assert lines_of(capsys, "flags", swath, "--flags", "none")[-1] == "left: 80 of 80 pixels (100.0 %)"
    region = "--region=-83.465,41.435,-83.425,41.475"
    lines = lines_of(capsys, "flags", swath, region, "--flags", "CLDICE,TURBIDW")
    assert lines[0].startswith("swath.nc: 16 pixels in -83.465,41.435,-83.425,41.475;")
    assert lines[-1] == "left: 13 of 16 pixels (81.2 %)"


def test_flags_as_csv(swath: Path, capsys) -> None:
    table = list(csv.DictReader(io.StringIO("\n".join(lines_of(capsys, "flags", swath, "--csv")))))
    assert len(table) == 27
    assert table[1] == {
        "flag": "LAND",
        "excluded_by": "yes",
        "pixels": "8",
        "share_percent": "10.00",
        "alone": "7",
    }


@pytest.mark.slow
def test_flags_that_can_not_be_counted(swath: Path, plain_map: Path, tmp_path: Path, capsys) -> None:
    assert "the flag CLOUD, found no such flag in" in refusal(capsys, "flags", swath, "--flags", "CLOUD")
    assert "swath.nc" in refusal(capsys, "flags", swath, "--flags", "CLOUD")
    assert "map.nc, a L3M_RRS. Level-3 maps hold no flags" in refusal(capsys, "flags", plain_map)
    assert "swath.nc covers latitudes 41.40" in refusal(capsys, "flags", swath, "--region=10,41,11,42")
    assert "absent.nc" in refusal(capsys, "flags", tmp_path / "absent.nc")
    assert "wanted the name of a region" in refusal(capsys, "flags", swath, "--region", "lake-eire")


# spectm inspect


@pytest.mark.slow
def test_inspecting_a_swath(swath: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "look.png"
    lines = lines_of(capsys, "inspect", swath, "--picture", out)
    facts = dict(line.split("  ", 1) for line in lines[: lines.index("")])
    facts = {name: fact.strip() for name, fact in facts.items()}
    assert facts["product"] == "L2_AOP, version 3.1"
    assert facts["near real time"] == "yes"
    assert facts["size"] == "10 lines x 8 pixels"
    assert facts["bands"] == "5, 443-681 nm"
    assert facts["latitude"] == "41.400 to 41.490"
    assert facts["longitude"] == "-83.500 to -83.430"
    rows = {line[:15].strip(): line[15:].split() for line in lines if line.startswith("Rrs")}
    assert list(rows) == ["Rrs 443 nm", "Rrs 555 nm", "Rrs 681 nm", "Rrs_unc 555 nm"]
    assert rows["Rrs 443 nm"] == ["sr-1", "90.0", "0.004", "0.004", "0.004"]
    assert lines[-1] == f"wrote {out}: Rrs at 645, 555 and 465 nm as red, green and blue"
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_inspecting_a_part(swath: Path, capsys) -> None:
    lines = lines_of(capsys, "inspect", swath, "--region=-83.465,41.435,-83.425,41.475")
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("size")] == ["4 lines x 4 pixels"]


@pytest.mark.slow
def test_inspecting_a_map(plain_map: Path, tmp_path: Path, capsys) -> None:
    lines = lines_of(capsys, "inspect", plain_map, "--picture", tmp_path / "map.png")
    text = "\n".join(lines)
    assert "L3M_RRS, version 3.1" in text
    assert "2 lat x 3 lon" in text
    assert "left out before  ATMFAIL LAND HILT" in text
    assert (tmp_path / "map.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("placed", [True, False])
def test_inspecting_patches(tmp_path: Path, capsys, placed: bool) -> None:
    places = np.array([41.7, 41.8, 41.7]) if placed else np.full(3, np.nan)
    Rrs = np.full((3, 5, 1, 1), 0.004, dtype=np.float32)
    Rrs[2] = np.nan
    patches = Patches(
        Rrs=Rrs,
        wavelength=NM.astype(float),
        time=np.array(["2024-08-04", "2024-08-12", "2024-08-12"], dtype="datetime64[ns]"),
        station=np.array(["A", "B", ""]),
        latitude=places,
        longitude=places - 125,
        source="by hand",
    )
    write_patches(patches, tmp_path / "patches.nc")
    text = "\n".join(lines_of(capsys, "inspect", tmp_path / "patches.nc", "--picture", tmp_path / "look.png"))
    for fact in ("3 of 1 x 1 pixels", "2: A, B", "2, 2024-08-04 to 2024-08-12", "by hand"):
        assert fact in text
    assert ("41.700 to 41.800" in text) == placed
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    message = refusal(capsys, "inspect", tmp_path / "patches.nc", "--region", "lake-erie-west")
    assert "found patches in" in message


def test_what_can_not_be_inspected(tmp_path: Path, swath: Path, capsys) -> None:
    cut = tmp_path / "cut.nc"
    cut.write_bytes(swath.read_bytes()[:3000])
    out = tmp_path / "look.png"
    assert "cut.nc" in refusal(capsys, "inspect", cut, "--picture", out)
    assert "absent.nc" in refusal(capsys, "inspect", tmp_path / "absent.nc")
    assert not out.exists()
