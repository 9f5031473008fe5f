from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from spectm.data.granule import open_granule
from spectm.data.quicklook import colour, colour_bands, draw_granule, raster
from tests.data.granules import swath_grid, write_l2_granule, write_l3_file


def test_every_pixel_lies_at_its_place() -> None:
    """A swath that leans: the cell under each centre shows that pixel, and all pixels are as large."""
    lat, lon = swath_grid(7, 5, tilt=0.3)
    drawn = raster(lat, lon, long_side=300)
    n_rows, n_columns = drawn.pixel.shape
    row = ((drawn.north - lat) / (drawn.north - drawn.south) * n_rows).astype(int)
    column = ((lon - drawn.west) / (drawn.east - drawn.west) * n_columns).astype(int)
    np.testing.assert_array_equal(drawn.pixel[row, column], np.arange(35).reshape(7, 5))
    sizes = np.bincount(drawn.pixel[drawn.pixel >= 0])
    assert sizes.min() > 0.85 * sizes.max()
    assert drawn.pixel[0, 0] == drawn.pixel[-1, 0] == -1  # outside the swath


@pytest.mark.slow
def test_long_pixels_keep_their_shape() -> None:
    """Six times as wide as long and oblique, as at the edge of a swath: other centres are nearer."""
    line, pixel = np.mgrid[:8, :6]
    lat, lon = 40.0 + 0.01 * line + 0.03 * pixel, 0.08 * pixel
    drawn = raster(lat, lon, long_side=400)
    row = (drawn.north - (lat + 0.4 * 0.03)) / (drawn.north - drawn.south) * drawn.pixel.shape[0]
    column = (lon + 0.4 * 0.08 - drawn.west) / (drawn.east - drawn.west) * drawn.pixel.shape[1]
    np.testing.assert_array_equal(drawn.pixel[row.astype(int), column.astype(int)].ravel(), np.arange(48))


def test_a_grid_fills_its_picture_from_the_north() -> None:
    lat, lon = np.meshgrid([12.0, 11.0], [30.0, 31.0, 32.0], indexing="ij")
    drawn = raster(lat, lon, long_side=60)
    assert (drawn.west, drawn.east, drawn.south, drawn.north) == pytest.approx((29.5, 32.5, 10.5, 12.5))
    assert drawn.pixel.min() == 0
    assert drawn.pixel[[0, 0, -1], [0, -1, -1]].tolist() == [0, 2, 5]


def test_gaps_stay_gaps() -> None:
    """A line without places is left empty; a jump of the swath is not bridged."""
    lat, lon = swath_grid(9, 5, tilt=0.0)
    lat[4] = np.nan
    drawn = raster(lat, lon, long_side=180)
    middle = drawn.pixel[:, drawn.pixel.shape[1] // 2]
    assert (middle == -1).sum() == pytest.approx(180 / 9, abs=3)
    assert not set(drawn.pixel.ravel()) & set(range(20, 25))
    lat, lon = swath_grid(8, 5, tilt=0.0)
    lat[4:] += 0.5
    drawn = raster(lat, lon, long_side=290)
    assert (drawn.pixel == -1).mean() == pytest.approx(0.5 / 0.58, abs=0.03)


def test_the_date_line_does_not_tear_a_picture() -> None:
    lat, lon = swath_grid(6, 8, west=179.96, tilt=0.0)
    drawn = raster(lat, lon, long_side=80)
    assert (drawn.west, drawn.east) == pytest.approx((179.955, 180.035), abs=1e-6)
    assert (np.diff(drawn.pixel[0]) >= 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1)])
def test_narrow_crops(shape: tuple[int, int]) -> None:
    lat, lon = swath_grid(*shape, tilt=0.0)
    assert set(np.unique(raster(lat, lon, long_side=40).pixel)) == set(range(lat.size))


def test_no_place_at_all() -> None:
    nowhere = np.full((3, 4), np.nan)
    assert raster(nowhere, nowhere).pixel.tolist() == [[-1]]


def test_colours() -> None:
    """One stretch for all: 0.01 is the 99th percentile, a quarter of it has 0.25^0.6 = 0.4353."""
    Rrs = np.full((200, 3), 0.01)
    Rrs[0] = [0.0025, -0.001, 0.0]
    Rrs[1] = [0.002, np.nan, 0.004]
    shown = colour(Rrs)
    np.testing.assert_allclose(shown[0], [0.4353, 0, 0], atol=1e-4)
    assert np.isnan(shown[1]).all()
    np.testing.assert_allclose(shown[2:], 1)
    assert np.isnan(colour(np.full((4, 3), np.nan))).all()


def test_bands_of_colours() -> None:
    assert colour_bands(np.array([443.0, 465, 490, 555, 640, 665])) == [4, 3, 1]
    assert colour_bands(np.array([540.0, 555, 665])) == [1]  # without blue


def pixels(path: Path) -> np.ndarray:
    return np.round(255 * imread(path)[..., :3]).astype(int)


def share_of(picture: np.ndarray, rgb: tuple[int, int, int]) -> float:
    return float((np.abs(picture - rgb) <= 2).all(axis=-1).mean())


@pytest.mark.slow
def test_a_picture_of_a_swath(tmp_path: Path) -> None:
    """Red, green and missing thirds, side by side, each a good part of the picture."""
    lat, lon = swath_grid(9, 9, tilt=0.0)
    Rrs = np.zeros((9, 9, 3))
    Rrs[:, :3, 2] = 0.01  # bands at 465, 555 and 645 nm
    Rrs[:, 3:6, 1] = 0.01
    Rrs[:, 6:] = np.nan
    place = {"latitude": lat, "longitude": lon, "wavelength": np.array([465, 555, 645])}
    out = tmp_path / "look.png"
    with open_granule(write_l2_granule(tmp_path / "granule.nc", Rrs=Rrs, **place)) as granule:
        assert draw_granule(granule, out) == "Rrs at 645, 555 and 465 nm as red, green and blue"
    picture = pixels(out)
    for rgb in ((255, 0, 0), (0, 255, 0), (204, 204, 204)):
        assert share_of(picture, rgb) > 0.2
    columns = [np.argwhere((picture == rgb).all(axis=-1))[:, 1].mean() for rgb in ((255, 0, 0), (0, 255, 0))]
    assert columns[0] < columns[1]  # pixels count from west to east here
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_picture_of_one_band_and_of_nothing(tmp_path: Path) -> None:
    lat, lon = np.array([42.0, 41]), np.arange(-85.0, -80)
    values = np.linspace(0.1, 0.4, 10).reshape(2, 5, 1)
    place = {"lat": lat, "lon": lon, "wavelength": np.array([865, 1250]), "suite": "SFREFL"}
    path = write_l3_file(tmp_path / "map.nc", values=values, **place)
    with open_granule(path) as granule:
        assert draw_granule(granule, tmp_path / "one.png") == "rhos at 865 nm"
    assert len(np.unique(pixels(tmp_path / "one.png") @ [1, 256, 65536])) > 50  # the colours of the bar
    with open_granule(write_l3_file(tmp_path / "empty.nc", values=np.nan, **place)) as granule:
        draw_granule(granule, tmp_path / "none.png")
    assert share_of(pixels(tmp_path / "none.png"), (204, 204, 204)) > 0.3
