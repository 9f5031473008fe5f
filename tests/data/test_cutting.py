from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from spectm.data.compose import compose
from spectm.data.cube import open_cube
from spectm.data.cutting import CuttingConfig, cut_cube, valid_wanted
from spectm.data.patch_file import PatchWriter
from spectm.data.patches import Patches, partners, read_patches
from spectm.data.regions import Region
from spectm.errors import CubeError, PatchError
from tests.data.cubes import NM, make_cube, numbered
from tests.data.granules import write_l2_granule

ALL = {"min_valid": 1.0}


def cut(cube: Path, region: Region | None = None, memory_mb: float = 256.0, **config: object) -> Patches:
    out = cube.parent / "patches.nc"
    cut_cube(cube, out, config=CuttingConfig(**config), region=region, memory_mb=memory_mb)
    return read_patches(out)


def extra(cube: Path) -> xr.Dataset:
    """All of the file, also what patches in memory do not hold."""
    with xr.open_dataset(cube.parent / "patches.nc", engine="h5netcdf") as dataset:
        return dataset.load()


# Places, order and values


@pytest.mark.slow
def test_windows_tile_the_grid_from_its_north_west_corner(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(2, 7, 10))  # a row and a column are left over
    patches = cut(cube, **ALL)
    places = ["r0001c0001", "r0001c0004", "r0001c0007", "r0004c0001", "r0004c0004", "r0004c0007"]
    assert patches.station.tolist() == places * 2  # by period, from north to south, from west to east
    assert patches.Rrs.shape == (12, 3, 3, 3)
    assert patches.wavelength.tolist() == list(NM)
    # The second period; rows 3 to 5 and columns 6 to 8; the third band; south-west corner.
    assert patches.Rrs[11, 2, 2, 0] == pytest.approx(0.01 + 0.005 + 0.0006 + 0.00002)
    for sample, (row, column) in enumerate([(0, 0), (0, 3), (0, 6), (3, 0), (3, 3), (3, 6)]):
        window = numbered(1, 7, 10)[0, row : row + 3, column : column + 3]
        np.testing.assert_allclose(patches.Rrs[sample], np.moveaxis(window, -1, 0), atol=1e-9)
    assert patches.latitude[:4].tolist() == pytest.approx(
        [41.98125] * 3 + [41.94375]
    )  # 1.5 and 4.5 cells down
    assert patches.longitude[:2].tolist() == pytest.approx([-83.48125, -83.44375])


@pytest.mark.slow
def test_the_stride_and_the_size_may_be_others(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(1, 7, 6))
    assert cut(cube, size=5, stride=1, **ALL).station.tolist() == [
        f"r000{row}c000{column}" for row in (2, 3, 4) for column in (2, 3)
    ]
    assert cut(cube, size=3, stride=4, **ALL).station.tolist() == ["r0001c0001", "r0005c0001"]
    single = cut(cube, size=1, **ALL)
    assert single.n_samples == 42
    assert single.Rrs[7, 0, 0, 0] == pytest.approx(0.0011)


@pytest.mark.slow
def test_names_grow_with_the_grid(tmp_path: Path) -> None:
    Rrs = np.full((1, 1, 10_001, 1), np.nan)
    Rrs[:, :, [3, 10_000]] = 0.01
    cube = make_cube(tmp_path / "a.zarr", Rrs, resolution=0.001)
    assert cut(cube, size=1).station.tolist() == ["r00000c00003", "r00000c10000"]


@pytest.mark.slow
def test_longitudes_beyond_the_date_line_are_west(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(1, 1, 4), west=179.5, resolution=0.25)
    assert cut(cube, size=1).longitude.tolist() == [179.625, 179.875, -179.875, -179.625]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_windows_are_those_of_a_slow_loop(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, stride, share = [(3, 3, 0.5), (3, 1, 0.7), (1, 2, 1.0), (5, 2, 0.34)][seed]
    Rrs = rng.normal(0.002, 0.004, (3, *rng.integers(6, 12, 2), 3))
    Rrs[rng.random(Rrs.shape[:3]) < 0.35] = np.nan
    Rrs[:, rng.random(Rrs.shape[1:3]) < 0.2] = np.nan  # land
    age = rng.uniform(0, 8, Rrs.shape[:3])
    found = []
    for period in range(3):
        for top in range(0, Rrs.shape[1] - size + 1, stride):
            for left in range(0, Rrs.shape[2] - size + 1, stride):
                window = Rrs[period, top : top + size, left : left + size]
                n_valid = sum(bool(np.isfinite(window[y, x]).all()) for y in range(size) for x in range(size))
                centre = Rrs[:, top + size // 2, left + size // 2]
                if n_valid / size**2 >= share and np.isfinite(centre).all(axis=1).any():
                    ages = age[period, top : top + size, left : left + size][np.isfinite(window).all(axis=-1)]
                    found.append((period, top, left, window, ages.mean()))
    cube = make_cube(tmp_path / "a.zarr", Rrs, age=age)
    patches = cut(cube, size=size, stride=stride, min_valid=share)
    assert patches.n_samples == len(found) > 4
    seen = extra(cube)["observation_time"].values
    for sample, (period, top, left, window, mean_age) in enumerate(found):
        assert patches.station[sample] == f"r{top + size // 2:04d}c{left + size // 2:04d}"
        np.testing.assert_array_equal(patches.Rrs[sample], np.moveaxis(window, -1, 0).astype("float32"))
        end = np.datetime64("2024-08-12") + 8 * period
        assert abs((end - seen[sample]) / np.timedelta64(1, "s") - 86_400 * mean_age) <= 1
    if seed:
        return
    narrow = cut(
        cube, size=size, stride=stride, min_valid=share, memory_mb=1e-6
    )  # a row of windows at a time
    np.testing.assert_array_equal(narrow.Rrs, patches.Rrs)
    assert narrow.station.tolist() == patches.station.tolist()


@pytest.mark.slow
def test_a_region_chooses_windows_and_keeps_their_names(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(1, 6, 9))
    box = Region(
        name="box", west=-83.45, south=41.9, east=-83.3, north=41.95
    )  # around row 4, columns 4 and 7
    assert cut(cube, box, **ALL).station.tolist() == ["r0004c0004", "r0004c0007"]
    assert extra(cube).attrs["settings"].endswith('"region": [-83.45, 41.9, -83.3, 41.95]}')


@pytest.mark.slow
def test_the_cube_of_a_run_that_goes_on_gives_its_complete_periods(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(3, 3, 3), unfinished=(1,))
    assert cut(cube).time.astype("datetime64[D]").astype(str).tolist() == ["2024-08-08", "2024-08-24"]


# Which windows


@pytest.mark.slow
def test_the_share_is_met_exactly_or_not(tmp_path: Path) -> None:
    """Nine windows with 0 to 8 missing cells, never that of the centre."""
    Rrs = numbered(1, 3, 27)
    around = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]
    for n_missing in range(9):
        for row, column in around[:n_missing]:
            Rrs[0, row, 3 * n_missing + column] = np.nan
    cube = make_cube(tmp_path / "a.zarr", Rrs)
    for min_valid, n_wanted in ((0.5, 5), (1.0, 9), (0.1, 1), (1, 1), (6, 6), (0.75, 7)):
        n_valid = cut(cube, min_valid=min_valid).valid.sum(axis=(1, 2))
        assert n_valid.tolist() == list(range(9, n_wanted - 1, -1)), min_valid


def test_a_cell_that_lacks_a_band_is_not_valid(tmp_path: Path) -> None:
    Rrs = numbered(1, 3, 3)
    Rrs[0, 0], Rrs[0, 1, 0], Rrs[0, 2, 2, 1] = np.nan, np.nan, np.nan
    with pytest.raises(
        PatchError, match=r"at least 5 valid ones, found none in .*a\.zarr: 1 periods, 4 cells ever"
    ):
        cut(make_cube(tmp_path / "a.zarr", Rrs))


@pytest.mark.slow
def test_the_centre_is_water_which_another_period_may_tell(tmp_path: Path) -> None:
    Rrs = numbered(2, 3, 3)
    Rrs[0, 1, 1], Rrs[1] = np.nan, np.nan
    cube = make_cube(tmp_path / "land.zarr", Rrs)
    with pytest.raises(PatchError, match="0 places with water in the centre"):
        cut(cube)  # eight cells of nine, but nobody ever saw water in the middle
    Rrs[1, 1, 1] = 0.01
    patches = cut(make_cube(tmp_path / "cloud.zarr", Rrs))
    assert patches.valid[0].sum() == 8
    assert not patches.valid[0, 1, 1]


# Time and partners


@pytest.mark.slow
def test_time_is_the_middle_of_the_period_and_the_mean_observation_stands_beside(tmp_path: Path) -> None:
    age = np.zeros((1, 3, 3))
    age[0, 0, 0], age[0, 2, 2] = 6.0, 3.0
    Rrs = numbered(1, 3, 3)
    Rrs[0, 1, 0] = np.nan  # so that eight cells count: 9 days / 8
    cube = make_cube(tmp_path / "a.zarr", Rrs, age=age)
    patches = cut(cube)
    assert patches.time[0] == np.datetime64("2024-08-08T00:00")  # of 4 to 11 August
    found = extra(cube)
    assert found["observation_time"].values[0] == np.datetime64("2024-08-10T21:00")
    assert found["time_bnds"].values[0].astype("datetime64[h]").tolist() == [
        np.datetime64("2024-08-04T00").item(),
        np.datetime64("2024-08-12T00").item(),
    ]
    assert found["n_valid"].values.tolist() == [8]
    assert found["granule"].values.tolist() == ["a.zarr 2024-08-04 to 2024-08-11"]


@pytest.mark.slow
def test_the_partner_is_the_same_window_in_the_next_period(tmp_path: Path) -> None:
    """Even where one was seen on the first day and the other on the last: fifteen days apart."""
    Rrs = numbered(4, 3, 6)
    Rrs[2, :, 3:] = np.nan
    age = np.array([7.9, 0.1, 7.9, 0.1])[:, None, None]
    patches = cut(make_cube(tmp_path / "a.zarr", Rrs, age=age))
    assert patches.station.tolist() == ["r0001c0001", "r0001c0004"] * 2 + ["r0001c0001"] + [
        "r0001c0001",
        "r0001c0004",
    ]
    # 0 -> 2 -> 4 -> 5 at the first place; the second one is missing in the third period.
    assert partners(patches).tolist() == [2, 3, 4, -1, 5, -1, -1]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["2024-12-18", "2023-12-19"])  # 353-360, 361-365 (366), 1-8, 9-16
def test_the_short_last_period_of_a_year_has_its_place_in_the_chain(tmp_path: Path, first: str) -> None:
    patches = cut(make_cube(tmp_path / "a.zarr", numbered(4, 1, 1), first=first), size=1)
    assert partners(patches).tolist() == [1, 2, 3, -1]
    leads = np.diff(patches.time) / np.timedelta64(1, "h") / 24
    assert leads.tolist() == ([7, 7, 8] if first.startswith("2024") else [6.5, 6.5, 8])


@pytest.mark.slow
def test_days_have_their_partner_eight_days_on(tmp_path: Path) -> None:
    patches = cut(make_cube(tmp_path / "a.zarr", numbered(10, 1, 1), days=1, age=0.25), size=1)
    assert patches.time[0] == np.datetime64("2024-08-04T12:00")
    assert partners(patches).tolist()[:2] == [8, 9]


# What is refused


def test_surface_reflectance_is_refused_with_what_to_do(tmp_path: Path) -> None:
    cube = make_cube(tmp_path / "land.zarr", numbered(1, 3, 3), product="L3M_SFREFL")
    with pytest.raises(
        PatchError, match=r"wanted .*\(Rrs\), found .*rhos.*land\.zarr.*fetch l2-aop or l3m-rrs-8d"
    ):
        cut(cube)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"found nothing at .*none\.zarr"):
        cut(tmp_path / "none.zarr")
    cube = make_cube(tmp_path / "a.zarr", numbered(1, 4, 3))
    with pytest.raises(PatchError, match=r"windows of 5 x 5 cells, found a cube of 4 x 3"):
        cut(cube, size=5)
    away = Region(name="away", west=10, south=40, east=11, north=42)
    with pytest.raises(PatchError, match=r"valid ones in away \(10, 40, 11, 42\), found none"):
        cut(cube, away)
    assert not (tmp_path / "patches.nc").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": 2}, "odd size of a window, found 2"),
        ({"size": -1}, "odd size of a window, found -1"),
        ({"stride": 0}, "stride of 1 cell or more, found 0"),
        ({"min_valid": 0.0}, "a number from 1 to 9; found 0.0"),
        ({"min_valid": 1.2}, "found 1.2"),
        ({"min_valid": 0}, "found 0"),
        ({"min_valid": 10}, "found 10"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(config: dict[str, float], message: str) -> None:
    with pytest.raises(PatchError, match=message):
        CuttingConfig(**config)


def test_a_share_that_binary_rounds_up_is_not_one_pixel_more() -> None:
    assert valid_wanted(0.28, 5) == 7  # 0.28 * 25 is 7.000000000000001


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, 0.01])
def test_a_cube_that_someone_changed_is_not_cut(tmp_path: Path, value: float) -> None:
    import zarr

    Rrs = numbered(1, 3, 3)
    Rrs[0, 0, 0] = np.nan
    cube = make_cube(tmp_path / "a.zarr", Rrs)
    store = zarr.open_group(cube, mode="r+")
    store["Rrs"][0, 2 if np.isnan(value) else 0, 0] = value
    with pytest.raises(CubeError, match=r"a spectrum in every cell with a count.*2024-08-04.*a\.zarr"):
        cut(cube)


@pytest.mark.slow
def test_a_broken_run_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(2, 3, 3))
    cut(cube)
    older = (tmp_path / "patches.nc").read_bytes()
    append = PatchWriter.append

    def full(self: PatchWriter, *given: object) -> None:
        if self.n_written:
            raise OSError("no space left on device")
        append(self, *given)

    monkeypatch.setattr(PatchWriter, "append", full)
    with pytest.raises(OSError, match="no space"):
        cut(cube)
    assert (tmp_path / "patches.nc").read_bytes() == older
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zarr", "patches.nc"]


# All the way


@pytest.mark.slow
def test_from_granules_through_a_cube_to_patches(tmp_path: Path) -> None:
    """Pixels lie at the centres of cells of 0.0125 degrees, so that nothing is averaged."""
    grid_north, grid_west = 42.0, -83.5
    line, pixel = np.mgrid[:6, :6]
    latitude, longitude = grid_north - 0.0125 * (line + 0.5), grid_west + 0.0125 * (pixel + 0.5)
    for number, day in enumerate(("2024-08-05", "2024-08-14")):
        write_l2_granule(
            tmp_path / f"g{number}.nc",
            latitude=latitude,
            longitude=longitude,
            Rrs=numbered(2, 6, 6)[number],
            wavelength=np.array(NM),
            time=np.full(6, np.datetime64(f"{day}T18:00", "ns")),
            flags={"CLDICE": [(0, 0)]} if number else None,
        )
    region = Region(name="box", west=-83.5, south=41.925, east=-83.425, north=42.0)
    compose([tmp_path / "g0.nc", tmp_path / "g1.nc"], tmp_path / "a.zarr", region, workers=1)
    steps: list[tuple[int, int, str]] = []
    report = cut_cube(tmp_path / "a.zarr", tmp_path / "p.nc", progress=lambda *step: steps.append(step))
    assert (report.n_patches, report.n_places, report.n_periods) == (8, 4, 2)
    assert steps == [(0, 2, "2024-08-04 to 2024-08-11"), (1, 2, "2024-08-12 to 2024-08-19"), (2, 2, "")]
    patches = read_patches(tmp_path / "p.nc")
    assert partners(patches).tolist() == [4, 5, 6, 7, -1, -1, -1, -1]
    expected = np.moveaxis(numbered(2, 6, 6)[1, :3, :3], -1, 0).astype("float32")
    expected[:, 0, 0] = np.nan
    np.testing.assert_allclose(patches.Rrs[4], expected, atol=1.1e-6)  # half a step of the packing
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as found:
        assert found["observation_time"].values[[0, -1]].astype("datetime64[m]").astype(str).tolist() == [
            "2024-08-05T18:00",
            "2024-08-14T18:00",
        ]
        assert found.attrs["cube"] == "a.zarr"
        assert found.attrs["cube_format_version"] == 1
        assert found.attrs["Conventions"] == "CF-1.11"
        assert '"flags": ["ATMFAIL", ' in found.attrs["cube_layout"]
    with open_cube(tmp_path / "a.zarr") as cube:
        assert found.attrs["source"] == f"a.zarr: {cube.attrs['title']}"
