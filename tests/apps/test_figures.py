"""Pictures: what is where on them, known without asking the code that draws."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from spectm.apps.figures import draw_series, draw_spectrum, save_figure
from spectm.apps.looks import LAND, LOOKS, UNSEEN, look_of
from spectm.apps.maps import Scene, draw_map
from spectm.apps.moment import moment_at
from spectm.apps.places import Station
from spectm.apps.planning import plan
from spectm.apps.predict import predict_maps
from spectm.apps.spectra import Spectrum, spectrum_at
from spectm.apps.store import Store, open_store
from spectm.cli.main import main
from spectm.data.cube import open_cube
from spectm.errors import OutputError, StoreError
from spectm.trust.thresholds import profile
from tests.study import BANDS_NM

PIER = Station(name="Pier $1$", latitude=41.9813, longitude=-83.4688)  # row 1, column 2
BUOY = Station(name="Buoy", latitude=41.94, longitude=-83.43)
FAR = Station(name="Far", latitude=45.0, longitude=-83.43)


@pytest.fixture
def store(week: Store) -> Store:
    return week


def samples(*rows: tuple[str, str, float, bool]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["station", "time", "microcystin", "below_detection"])
    return table.assign(time=pd.to_datetime(table["time"]), date=table["time"].str[:10])


def lightness(colour: Any) -> float:
    """CIE L* of a colour."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def texts(canvas: Figure) -> list[str]:
    found = [text.get_text() for axes in canvas.axes for text in axes.texts]
    return [*found, *(text.get_text() for legend in canvas.legends for text in legend.get_texts())]


@pytest.mark.parametrize("name", LOOKS)
def test_colours_get_darker_and_print_in_grey(name: str) -> None:
    values = [lightness(colour) for _, colour in LOOKS[name].stops(33)]
    assert (np.diff(values) < 0).all()
    assert values[0] - values[-1] > 60  # of 100
    mean_step = (values[0] - values[-1]) / 32
    assert np.abs(np.diff(values)).max() < 3 * mean_step  # no edge where there is none in the water


@pytest.mark.parametrize("name", LOOKS)
def test_no_colour_looks_like_land_or_cloud(name: str) -> None:
    for ground in (LAND, UNSEEN):
        apart = [
            np.abs(np.subtract(to_rgb(colour), to_rgb(ground))).max() for _, colour in LOOKS[name].stops(33)
        ]
        assert min(apart) > 0.05


@pytest.mark.slow
def test_a_map_shows_the_store_and_hatches_what_is_flagged(store: Store) -> None:
    moment = moment_at(store, "2024-08-12")
    canvas = draw_map(moment, "estimate", Scene())
    axes = canvas.axes[0]
    water, cells = axes.images
    drawn = np.ma.filled(cells.get_array().astype(float), np.nan)
    np.testing.assert_array_equal(drawn, moment.maps["microcystin"].values.astype(float))
    assert tuple(cells.get_extent()) == pytest.approx((-83.5, -83.4, 41.925, 42.0))
    assert to_hex(water.cmap(1.0)) == UNSEEN
    land = np.ma.filled(water.get_array(), np.nan)
    assert np.isnan(land[:2, 6:]).all()  # made so, and beyond the chart's reach: nothing was ever seen there
    assert to_hex(axes.get_facecolor()) == LAND
    hatched = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert [patch.get_hatch() for patch in hatched] == ["////", "////"]
    flagged = np.argwhere(store.dataset["flagged"].isel(time=1).values == 1)
    squares = hatched[0].get_path().to_polygons()
    assert len(squares) == len(flagged)
    row, column = flagged[0]
    assert squares[0].max(axis=0) == pytest.approx([-83.5 + 0.0125 * (column + 1), 42.0 - 0.0125 * row])
    assert "SIMULATED" in texts(canvas)
    assert axes.get_title(loc="left") == "Estimated microcystin\n12 to 19 August 2024"


@pytest.mark.slow
def test_the_three_maps_show_what_they_say(store: Store) -> None:
    moment = moment_at(store)
    low, high = (
        store.dataset[name].isel(time=2, horizon=0, level=1).values
        for name in ("interval_low", "interval_high")
    )
    wanted = {
        "interval": high / low,
        "exceedance": store.dataset["exceedance"].isel(time=2, horizon=0).sel(threshold=8).values,
    }
    for what, values in wanted.items():
        canvas = draw_map(moment, what, Scene(), threshold=8.0)
        drawn = np.ma.filled(canvas.axes[0].images[1].get_array().astype(float), np.nan)
        np.testing.assert_allclose(drawn, values, rtol=1e-4, atol=1e-6)
    assert canvas.axes[1].get_xlabel() == "probability of more than 8 µg/L"
    assert [text.get_text() for text in canvas.axes[1].get_xticklabels()] == [
        "0 %",
        "25 %",
        "50 %",
        "75 %",
        "100 %",
    ]


@pytest.mark.slow
def test_the_scale_bar_is_as_long_as_it_says(store: Store) -> None:
    axes = draw_map(moment_at(store), "estimate", Scene()).axes[0]
    (line,) = [one for one in axes.lines if one.get_linewidth() == 3]
    share = np.ptp(line.get_xdata())
    km = share * 0.1 * 111.2 * np.cos(np.deg2rad(41.9625))  # the map is 0.1 degree wide
    assert km == pytest.approx(2.0)
    assert "2 km" in [text.get_text() for text in axes.texts]


@pytest.mark.slow
def test_laboratory_values_have_the_colours_of_the_map(store: Store) -> None:
    scene = Scene(
        stations=[PIER, BUOY, FAR],
        samples=samples(
            ("Pier $1$", "2024-08-05 12:00", 20.0, False),  # of the week before
            ("Pier $1$", "2024-08-13 12:00", 3.0, False),
            ("Buoy", "2024-08-14 12:00", 0.1, True),
        ),
    )
    canvas = draw_map(moment_at(store, "2024-08-12"), "estimate", scene)
    axes = canvas.axes[0]
    signs = {line.get_marker(): line for line in axes.lines if line.get_markerfacecolor() != line.get_color()}
    share = np.log(3.0 / 0.1) / np.log(30.0 / 0.1)
    wanted = mpl.colormaps["viridis_r"](0.96 * share)
    np.testing.assert_allclose(to_rgb(signs["o"].get_markerfacecolor()), wanted[:3], atol=0.02)
    assert tuple(signs["v"].get_xydata()[0]) == (-83.43, 41.94)
    found = texts(canvas)
    assert r"Pier \$1\$" in found  # no formula
    assert "Far" not in found
    assert "laboratory: below detection" in found


@pytest.mark.slow
def test_names_do_not_cover_each_other(store: Store) -> None:
    stations = [
        Station(name=f"Station {i}", latitude=41.96 + 0.004 * (i // 3), longitude=-83.46 + 0.004 * (i % 3))
        for i in range(6)
    ]
    canvas = draw_map(moment_at(store), "estimate", Scene(stations=stations))
    canvas.draw_without_rendering()
    named = [text for text in canvas.axes[0].texts if text.get_text().startswith("Station")]
    boxes = [text.get_window_extent() for text in named]
    assert len(boxes) == 6
    pairs = [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[i + 1 :]
        if a.shrunk(0.8, 0.8).overlaps(b.shrunk(0.8, 0.8))
    ]
    assert not pairs


def test_a_map_of_something_else_is_refused(store: Store) -> None:
    with pytest.raises(
        OutputError, match="wanted a map of estimate, interval, exceedance; found 'chlorophyll'"
    ):
        look_of("chlorophyll")


@pytest.mark.slow
def test_weeks_of_a_place(store: Store) -> None:
    found = samples(
        ("Pier $1$", "2024-08-06 12:00", 0.1, True),
        ("Pier $1$", "2024-08-22 12:00", 4.0, False),
        ("Pier $1$", "2023-08-22 12:00", 7.0, False),  # another year
        ("Buoy", "2024-08-22 12:00", 9.0, False),  # another place
    )
    canvas = draw_series(store, PIER, samples=found, thresholds=profile("who-2020").thresholds)
    axes = canvas.axes[0]
    here = store.dataset.isel(lat=1, lon=2)
    lines = {line.get_label(): line for line in axes.lines}
    seen = np.isfinite(here["microcystin"].sel(horizon=0.0).values)
    drawn = np.concatenate([lines[name].get_ydata() for name in lines if name.startswith("estimate")])
    assert sorted(drawn) == pytest.approx(sorted(here["microcystin"].sel(horizon=0.0).values[seen]))
    assert lines["laboratory"].get_ydata().tolist() == [4.0]
    below = lines["laboratory: below detection, at the limit"]
    assert (below.get_ydata().tolist(), below.get_marker(), below.get_markerfacecolor()) == (
        [0.1],
        "v",
        "none",
    )
    assert {text.get_text() for text in axes.texts} >= {"1", "12", "24", "SIMULATED"}
    assert [text.get_text() for text in axes.get_yticklabels()][:3] == ["0.1", "0.3", "1"]
    ahead = lines["forecast, 8 days ahead"]
    assert ahead.get_ydata()[0] == pytest.approx(float(here["microcystin"].sel(horizon=8.0)[-1]))
    assert str(np.datetime64(ahead.get_xdata()[0], "D")) == "2024-09-01"  # the middle of the last period + 8


def test_weeks_of_a_place_up_to_a_day(store: Store) -> None:
    axes = draw_series(store, PIER, until=np.datetime64("2024-08-20"), n_periods=1, legend=False).axes[0]
    drawn = [line for line in axes.lines if line.get_label().startswith("estimate")]
    assert sum(line.get_ydata().size for line in drawn) == 1
    with pytest.raises(StoreError, match="wanted a place on the maps"):
        draw_series(store, FAR)


def test_a_spectrum_is_not_bridged_over_its_gap() -> None:
    wavelength = np.concatenate([np.arange(500.0, 590.0, 2.5), np.arange(613.0, 720.0, 2.5)])
    hidden = (wavelength >= 660) & (wavelength <= 680)
    Rrs = np.linspace(0.01, 0.002, wavelength.size)
    spectrum = Spectrum(
        title="Pier",
        wavelength=wavelength,
        Rrs=Rrs,
        inferred=np.where(hidden, Rrs * 1.1, np.nan),
        windows=[(660.0, 680.0)],
        simulated=False,
    )
    axes = draw_spectrum(spectrum).axes[0]
    measured = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 2]
    assert [(line.get_xdata()[0], line.get_xdata()[-1]) for line in measured] == [
        (500.0, 587.5),
        (613.0, 718.0),
    ]
    assert measured[0].get_ydata()[0] == pytest.approx(10.0)  # in thousandths
    assert not [text for text in axes.texts if "SIMULATED" in text.get_text()]


@pytest.mark.slow
def test_a_spectrum_and_what_the_model_infers(model_folder: Path, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions"
    predict_maps(plan(model_folder, cube, out, [profile("who-2020")]), workers=1)
    moment = moment_at(open_store(out))
    row, column = np.argwhere(moment.seen)[3]
    place = Station(name="x", latitude=moment.grid.latitude[row], longitude=moment.grid.longitude[column])
    found = spectrum_at(moment, place, str(model_folder))
    with open_cube(cube) as opened:
        np.testing.assert_array_equal(found.Rrs, opened["Rrs"].values[-1, row, column].astype(float))
    hidden = np.isfinite(found.inferred)
    in_windows = ((BANDS_NM >= 615) & (BANDS_NM <= 640)) | ((BANDS_NM >= 660) & (BANDS_NM <= 680))
    assert (hidden == (in_windows | (BANDS_NM >= 695))).all()
    assert len(found.windows) == 3
    unseen = np.argwhere(~moment.seen)[0]
    nowhere = Station(
        name="y", latitude=moment.grid.latitude[unseen[0]], longitude=moment.grid.longitude[unseen[1]]
    )
    with pytest.raises(StoreError, match="found nothing seen there"):
        spectrum_at(moment, nowhere, str(model_folder))
    known = moment.store.record["model"]
    known["weights_sha256"] = "0" * 64
    with pytest.raises(StoreError, match=r"wanted the model behind .* \(weights 0{16}\)"):
        spectrum_at(moment, place, str(model_folder))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures_say_inside_what_they_are(store: Store, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"map.{suffix}"
    words = ["map", str(store.folder), "--what", "exceedance", "--threshold", "1", "--out", str(out)]
    assert main(words) == 0
    written = out.read_bytes()
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert written.startswith(heads[suffix])
    if suffix != "pdf":  # there it is compressed
        assert b"Simulated. spectm" in written
        assert b"Probability of more than 1" in written


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"wanted a picture as png, svg, pdf; found 'map\.jpg'"):
        save_figure(Figure(), tmp_path / "map.jpg", about="x")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--what", "series"], "wanted --station or --point for a series, found neither"),
        (["--what", "series", "--station", "Nowhere"], "wanted the station 'Nowhere', found none"),
        (["--what", "series", "--point", "10,10"], "wanted a place on the maps"),
        (["--what", "spectrum", "--point", "41.98,-83.46"], "wanted a cube, found nothing"),
        (["--what", "exceedance", "--threshold", "0"], "wanted a threshold in ug/L above zero"),
        (
            ["--what", "series", "--point", "41.98,-83.46", "--profile", "who"],
            "no threshold profile named 'who'",
        ),
        (["--shore", "shore.geojson"], "shore.geojson: wanted GeoJSON"),
    ],
)
def test_what_can_not_be_drawn_is_refused(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    out = tmp_path / "map.png"
    assert main(["map", str(store.folder), *words, "--out", str(out)]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_real_and_simulated_are_not_mixed(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("station,time,microcystin,latitude,longitude\nA,2024-08-13T12:00Z,1,41.98,-83.46\n")
    assert main(["map", str(store.folder), "--labels", str(labels), "--out", str(tmp_path / "map.png")]) == 1
    assert "wanted real data or simulated data, found both" in capsys.readouterr().err
