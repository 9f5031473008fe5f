from pathlib import Path

import numpy as np
import pytest

from spectm.data.composite import CompositeConfig, TileComposite, compose_tile
from spectm.data.grid import Grid, Tile
from spectm.errors import CubeError
from tests.data.granules import FLAGS, write_l2_granule, write_l3_file

BANDS = np.array([442.0, 620.0, 709.0])
GRID = Grid(west=-83.5, north=42.0, resolution=0.05, n_rows=4, n_columns=6)
END = np.datetime64("2024-08-12")


def composed(paths: list[Path], tile: Tile = GRID.whole, **options: object) -> TileComposite:
    config = CompositeConfig(**({"flags": ("bloom",)} | options))
    return compose_tile(paths, GRID, tile, BANDS.size, END, config)


def swath(rng: np.random.Generator, n_lines: int = 9, n_pixels: int = 8) -> dict[str, np.ndarray]:
    """Places scattered in and around the grid, spectra of either sign, some bands missing."""
    Rrs = rng.normal(0.002, 0.004, (n_lines, n_pixels, BANDS.size))
    Rrs[rng.random((n_lines, n_pixels)) < 0.1, rng.integers(BANDS.size)] = np.nan
    return {
        "latitude": rng.uniform(41.7, 42.1, (n_lines, n_pixels)),
        "longitude": rng.uniform(-83.6, -83.1, (n_lines, n_pixels)),
        "Rrs": Rrs,
        "uncertainty": rng.uniform(1e-4, 9e-4, Rrs.shape),
    }


def as_stored(values: np.ndarray, scale: float, offset: float) -> np.ndarray:
    return np.round((values - offset) / scale) * scale + offset


def by_loop(
    swaths: list[dict[str, np.ndarray]], flagged: list[set[tuple[int, int]]]
) -> dict[tuple[int, int], list]:
    """Spectra and uncertainties of each cell, pixel by pixel."""
    cells: dict[tuple[int, int], list] = {}
    for one, left_out in zip(swaths, flagged, strict=True):
        n_lines, n_pixels = one["latitude"].shape
        for i in range(n_lines):
            for j in range(n_pixels):
                latitude, longitude = (
                    float(np.float32(one[axis][i, j])) for axis in ("latitude", "longitude")
                )
                row, column = int((42.0 - latitude) // 0.05), int((longitude + 83.5) // 0.05)
                spectrum = as_stored(one["Rrs"][i, j], 2e-6, 0.05)
                if (i, j) in left_out or np.isnan(spectrum).any() or not (0 <= row < 4 and 0 <= column < 6):
                    continue
                unc = as_stored(one["uncertainty"][i, j], 5e-8, 0.0015)
                cells.setdefault((row, column), []).append((spectrum, unc))
    return cells


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_cells_hold_what_a_loop_over_pixels_finds(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    swaths = [swath(rng) for _ in range(3)]
    flagged = [{(int(rng.integers(9)), int(rng.integers(8))) for _ in range(5)} for _ in swaths]
    paths = [
        write_l2_granule(tmp_path / f"{seed}-{i}.nc", wavelength=BANDS, flags={"LAND": sorted(places)}, **one)
        for i, (one, places) in enumerate(zip(swaths, flagged, strict=True))
    ]
    wanted = by_loop(swaths, flagged)
    mean, median, weighted = (composed(paths, statistic=name) for name in ("mean", "median", "weighted"))
    assert set(zip(*np.nonzero(mean.count), strict=True)) == set(wanted)
    for cell, pixels in wanted.items():
        spectra, unc = (np.array(part) for part in zip(*pixels, strict=True))
        assert mean.count[cell] == median.count[cell] == len(pixels)
        np.testing.assert_allclose(mean.reflectance[cell], spectra.mean(axis=0), rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(median.reflectance[cell], np.median(spectra, axis=0), rtol=1e-5, atol=1e-8)
        by_weight = (spectra / unc**2).sum(axis=0) / (1 / unc**2).sum(axis=0)
        np.testing.assert_allclose(weighted.reflectance[cell], by_weight, rtol=1e-4, atol=1e-7)
        spread = spectra.std(axis=0, ddof=1) if len(pixels) > 1 else np.full(BANDS.size, np.nan)
        for made in (mean, median, weighted):
            np.testing.assert_allclose(made.spread[cell], spread, rtol=1e-4, atol=1e-8)
    empty = mean.count == 0
    assert np.isnan(mean.reflectance[empty]).all()
    assert np.isnan(mean.age[empty]).all()


@pytest.mark.slow
def test_tiles_and_slabs_have_no_seams(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    paths = [write_l2_granule(tmp_path / f"{i}.nc", wavelength=BANDS, **swath(rng)) for i in range(3)]
    for statistic in ("mean", "median", "weighted"):
        whole = composed(paths, statistic=statistic)
        for tile in GRID.tiles(3, 4):
            part = composed(paths, tile, statistic=statistic, slab_mb=0.001)  # a line at a time
            np.testing.assert_allclose(part.reflectance, whole.reflectance[tile.index], rtol=1e-6)
            np.testing.assert_allclose(part.spread, whole.spread[tile.index], rtol=1e-5)
            np.testing.assert_array_equal(part.count, whole.count[tile.index])
            np.testing.assert_allclose(part.age, whole.age[tile.index], rtol=1e-6)


def one_line(tmp_path: Path, **options: object) -> Path:
    """32 pixels in one cell, the k-th with reflectance k/1000 in all bands."""
    value = np.arange(32) / 1000
    return write_l2_granule(
        tmp_path / f"line-{len(list(tmp_path.iterdir()))}.nc",
        latitude=np.full((1, 32), 41.92),
        longitude=np.full((1, 32), -83.42),
        Rrs=np.repeat(value[None, :, None], BANDS.size, axis=2),
        wavelength=BANDS,
        **options,
    )


@pytest.mark.slow
def test_each_flag_costs_its_own_pixel(tmp_path: Path) -> None:
    bits = (1 << np.arange(32, dtype=np.uint32)).view(np.int32)[None, :]  # the k-th pixel has the k-th flag
    path = one_line(tmp_path, flags=bits)
    for k, flag in enumerate(FLAGS):
        if flag == "SPARE":
            continue
        made = composed([path], flags=(flag,))
        assert made.count[1, 1] == 31
        assert made.reflectance[1, 1] == pytest.approx((sum(range(32)) - k) / 31 / 1000, rel=1e-5)
        assert (made.losses.seen, made.losses.used) == (32, 31)
        assert made.losses.flagged[flag] == made.losses.alone[flag] == 1
        assert sum(made.losses.alone.values()) == 1
    standard, bloom = composed([path], flags=("standard",)), composed([path])
    assert (standard.count[1, 1], bloom.count[1, 1]) == (32 - 16, 32 - 12)
    assert composed([path], flags=("none",)).count[1, 1] == 32


@pytest.mark.slow
def test_an_unknown_flag_names_the_granule_and_the_rest_goes_through(tmp_path: Path) -> None:
    made = composed([one_line(tmp_path)], flags=("CLOUDICE",))
    assert list(made.bad) == ["line-0.nc"]
    assert "Did you mean CLDICE" in made.bad["line-0.nc"]


@pytest.mark.slow
def test_ages_run_to_the_end_of_the_period(tmp_path: Path) -> None:
    noon = one_line(tmp_path, time="2024-08-10T12:00:00")
    assert composed([noon]).age[1, 1] == pytest.approx(1.5)
    two = [noon, one_line(tmp_path, time="2024-08-08T12:00:00")]
    assert composed(two).age[1, 1] == pytest.approx(2.5)


@pytest.mark.slow
def test_what_is_incomplete_is_counted(tmp_path: Path) -> None:
    Rrs = np.full((1, 3, BANDS.size), 0.01)
    Rrs[0, 1, 2] = np.nan
    uncertainty = np.full(Rrs.shape, 0.001)
    uncertainty[0, 2, 0] = np.nan
    path = write_l2_granule(
        tmp_path / "a.nc",
        latitude=np.full((1, 3), 41.92),
        longitude=np.full((1, 3), -83.42),
        Rrs=Rrs,
        wavelength=BANDS,
        uncertainty=uncertainty,
    )
    for statistic, n in (("mean", 2), ("weighted", 1)):
        made = composed([path], statistic=statistic)
        assert (made.losses.seen, made.losses.used, made.losses.incomplete) == (3, n, 3 - n)
        assert made.count[1, 1] == n


@pytest.mark.slow
def test_a_granule_damaged_in_its_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    good, bad = (
        write_l2_granule(tmp_path / f"{name}.nc", wavelength=BANDS, chunks=(1, 8, 3), **swath(rng))
        for name in ("good", "bad")
    )
    alone = composed([good])
    content = bytearray(bad.read_bytes())
    content[-len(content) // 3 :] = bytes(len(content) // 3 + 1)[: len(content[-len(content) // 3 :])]
    bad.write_bytes(content)
    both = composed([good, bad], slab_mb=0.001)
    assert list(both.bad) == ["bad.nc"]
    assert str(bad) in both.bad["bad.nc"]
    np.testing.assert_array_equal(both.reflectance, alone.reflectance)
    assert both.losses == alone.losses


@pytest.mark.slow
@pytest.mark.parametrize("flip", [1, -1])
def test_a_map_falls_on_its_own_cells_in_either_order_of_latitudes(tmp_path: Path, flip: int) -> None:
    lat, lon = GRID.latitude[::flip], GRID.longitude
    values = np.arange(72.0).reshape(4, 6, 3) / 1000
    values[0, 0, 1] = np.nan
    start, end = "2024-08-04T00:00:00", "2024-08-12T00:00:00"
    options = {"start": start, "end": end, "wavelength": BANDS}
    path = write_l3_file(tmp_path / "map.nc", lat=lat, lon=lon, values=values[::flip], **options)
    made = composed([path])
    assert made.count.tolist() == [[0] + [1] * 5] + [[1] * 6] * 3
    np.testing.assert_allclose(made.reflectance[made.count > 0], values[made.count > 0], atol=1.1e-6)
    assert made.age[3, 5] == pytest.approx(4.0)  # from the middle of eight days to their end
    assert np.isnan(made.spread).all()


@pytest.mark.slow
def test_a_granule_without_a_complete_pixel_gives_nothing(tmp_path: Path) -> None:
    for statistic in ("mean", "median", "weighted"):
        Rrs = np.full((1, 2, BANDS.size), 0.01)
        Rrs[..., 1] = np.nan
        place = {"latitude": np.full((1, 2), 41.92), "longitude": np.full((1, 2), -83.42)}
        path = write_l2_granule(tmp_path / f"{statistic}.nc", Rrs=Rrs, wavelength=BANDS, **place)
        made = composed([path], statistic=statistic)
        assert (made.losses.seen, made.losses.used, made.losses.incomplete) == (2, 0, 2)
        assert not made.count.any()
        assert np.isnan(made.reflectance).all()


@pytest.mark.slow
def test_over_the_date_line(tmp_path: Path) -> None:
    grid = Grid(west=179.9, north=0.1, resolution=0.1, n_rows=2, n_columns=2)
    path = write_l2_granule(
        tmp_path / "a.nc",
        latitude=np.array([[0.05, 0.05], [-0.05, -0.05]]),
        longitude=np.array([[179.95, -179.95], [179.95, -179.85]]),
        Rrs=np.arange(12).reshape(2, 2, 3) / 1000,
        wavelength=BANDS,
    )
    made = compose_tile([path], grid, grid.whole, 3, END, CompositeConfig())
    assert made.count.tolist() == [[1, 1], [1, 0]]
    assert made.reflectance[0, 1] == pytest.approx([0.003, 0.004, 0.005], abs=1e-6)


def test_a_granule_elsewhere_is_no_error(tmp_path: Path) -> None:
    path = write_l2_granule(
        tmp_path / "a.nc",
        latitude=np.full((2, 2), 10.0),
        longitude=np.full((2, 2), 10.0),
        Rrs=np.zeros((2, 2, 3)),
        wavelength=BANDS,
    )
    made = composed([path])
    assert (made.bad, made.losses.seen, int(made.count.sum())) == ({}, 0, 0)


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(CubeError, match="mean, median, weighted; found 'mode'"):
        CompositeConfig(statistic="mode")
