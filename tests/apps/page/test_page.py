"""The page in a real browser, on a real server."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

from spectm.apps.bulletin import words
from tests.apps.page.conftest import SCRIPT, STATIONS, Visit

pytestmark = pytest.mark.slow

NO_WEBGL = "HTMLCanvasElement.prototype.getContext = () => null"


def asked(visit: Visit, path: str) -> dict:
    """What the interface answers, without the page."""
    with urlopen(f"{visit.root}/api/v1/{path}") as answer:
        return json.load(answer)


def focused(visit: Visit) -> str:
    """Id or text of the element with the focus."""
    return visit.page.evaluate("document.activeElement.id || document.activeElement.innerText")


def test_it_loads_without_a_complaint_and_asks_nobody_else(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open()
    page = there.page
    assert page.inner_text("#view-title") == "Estimated microcystin, 28 August to 4 September 2024"
    assert page.inner_text("#banner").startswith("Simulated")
    assert page.is_visible("#stamp")
    assert "This informs and decides nothing" in page.inner_text("header")
    assert "microcystin inside particles" in page.inner_text("#caveats")
    assert page.locator("#stations li").count() == len(STATIONS)
    assert there.complaints == []
    assert there.elsewhere == []


def test_the_cells_lie_where_they_should_in_their_colours(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&day=2024-08-28")
    page = there.page
    (pier,) = (one for one in asked(there, "areas/bay/stations?period=2024-08-28") if one["name"] == "Pier")
    value = pier["estimates"][0]["microcystin"]
    page.wait_for_selector(".station")
    page.wait_for_timeout(300)  # a frame of the map
    box = page.locator(".station[aria-label='Station Pier']").bounding_box()
    assert box is not None
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # beside the ring, and still in the cell in the middle of which the station lies
    found = shot.getpixel((round(box["x"] + 12), round(box["y"] + 12 - 12)))
    stops = asked(there, "areas/bay")["looks"]["estimate"]["stops"]
    near = min(stops, key=lambda stop: abs(stop[0] / value - 1))[1]
    wanted = [int(near[i : i + 2], 16) for i in (1, 3, 5)]
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 45


def test_the_slider_moves_by_keyboard(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open()
    page = there.page
    page.focus("#period")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#days").startswith("20 to 27 August 2024")
    assert page.get_attribute("#period", "aria-valuetext") == "20 to 27 August 2024"
    there.drawn("day=2024-08-20")
    assert "day=2024-08-20" in page.url
    page.keyboard.press("Home")
    there.drawn("day=2024-08-04")
    page.focus("#later")
    page.keyboard.press("Enter")
    there.drawn("day=2024-08-12")
    page.wait_for_function(
        "() => document.getElementById('said').textContent.includes('12 to 19 August 2024')"
    )
    assert there.complaints == []


def test_a_station_is_clicked_on_the_map(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&day=2024-08-28")
    page = there.page
    page.click(".station[aria-label='Station Pier']")
    page.wait_for_selector("#place-facts .card")
    assert page.inner_text("#place-title") == "Pier"
    (pier,) = (one for one in asked(there, "areas/bay/stations?period=2024-08-28") if one["name"] == "Pier")
    now, ahead = pier["estimates"]
    cards = page.locator("#place-facts .card").all_inner_texts()
    assert f"{words.amount(now['microcystin'], 0.1)} µg/L" in cards[0]
    assert words.interval(now["low90"], now["high90"], 0.1) in cards[0]
    assert words.interval(ahead["low90"], ahead["high90"], 0.1) in cards[1]
    assert "about 5 to 12 September 2024" in cards[1]
    rows = page.locator(".chances tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["1", "12", "24"]
    one = next(each["probability"] for each in now["exceedance"] if each["threshold"] == 1.0)
    assert words.percent(one) in rows[0]
    page.wait_for_selector("#series-body svg.chart .estimate")
    assert page.locator("#series-body tbody tr").count() == 5  # four periods and the newest forecast
    assert page.evaluate("getComputedStyle(document.querySelector('.chosen')).visibility") == "visible"
    assert "station=Pier" in page.url
    assert there.complaints == []


def test_the_map_is_clicked_anywhere(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open()
    box = there.page.locator("#map").bounding_box()
    assert box is not None
    there.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.12 * box["height"])
    there.page.wait_for_selector("#place-facts .nothing")
    assert "nothing was seen here" in there.page.inner_text("#place-facts")
    asked_for = re.search(r"at=([\d.]+)%2C([-\d.]+)", there.page.url)
    assert asked_for is not None
    # the grid goes from 41.76 to 42 N and from 83.5 to 83.18 W, with a margin around it
    assert float(asked_for[1]) == pytest.approx(42 - 0.12 * 0.24, abs=0.012)
    assert float(asked_for[2]) == pytest.approx(-83.5 + 0.9 * 0.32, abs=0.025)


def test_threshold_and_profile_are_changed(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&day=2024-08-28&station=Pier")
    page = there.page
    page.check("#show input[value=exceedance]")
    there.drawn("show=exceedance")
    page.select_option("#threshold", "12")
    there.drawn("above=12")
    assert page.inner_text("#view-title").startswith("Probability of more than 12 µg/L")
    assert "more than 12 µg/L" in page.inner_text("#legend")
    page.select_option("#profile", "epa-2019")
    there.drawn("profile=epa-2019")
    assert page.inner_text("#view-title").startswith("Probability of more than 8 µg/L")
    page.wait_for_function("() => document.querySelectorAll('.chances tbody tr').length === 1")
    assert page.inner_text(".chances tbody tr").startswith("8 µg/L")
    page.check("#horizon input[value='8']")
    there.drawn("ahead=8")
    assert "8 days ahead: about 5 to 12 September 2024" in page.inner_text("#view-title")
    assert there.complaints == []


def test_tables_and_picture_are_downloaded(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&day=2024-08-12")
    found = {}
    for name in ("cells", "stations", "map"):
        with there.page.expect_download() as waiting:
            there.page.click(f"#download-{name}")
        found[name] = (waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes())
    assert found["cells"][0].endswith(".csv")
    rows = list(csv.DictReader(io.StringIO(found["cells"][1].decode())))
    periods = asked(there, "areas/bay/periods")
    assert len(rows) == next(one["n_estimates"] for one in periods if one["first"] == "2024-08-12")
    assert found["stations"][1].decode().count("\n") >= len(STATIONS) + 1
    assert found["map"][1].startswith(b"\x89PNG")


def test_all_is_done_by_keyboard_alone(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&day=2024-08-28")
    page = there.page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # to the places
    assert focused(there) == "places-title"
    page.wait_for_selector("#stations button")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused(there).startswith("Outer bank")
    page.keyboard.press("Enter")
    page.wait_for_selector("#place-title:focus")
    page.wait_for_selector("#place-facts .card")
    page.focus("#at")
    page.keyboard.type("41.87 N, 83.37 W")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('place-title').textContent.startsWith('41.870')")
    assert focused(there) == "place-title"
    page.focus("#show input:checked")
    page.keyboard.press("ArrowRight")
    there.drawn("show=interval")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    there.drawn("ahead=8")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached[:3] == ["earlier", "period", "later"]
    for name in ("maplibregl-canvas", "maplibregl-ctrl-zoom-in", "profile", "threshold", "download-cells"):
        assert name in reached
    page.focus(".maplibregl-canvas")
    page.keyboard.press("Enter")  # chooses the middle
    page.wait_for_function("() => document.getElementById('place-title').textContent.startsWith('41.88')")
    assert there.complaints == []


def test_coordinates_that_are_none_are_said(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open()
    page = there.page
    for typed, said in (
        ("somewhere", "Wanted two numbers"),
        ("-83.37, 41.87 1", "two numbers"),
        ("99, 5", "-90 to 90"),
    ):
        page.fill("#at", typed)
        page.press("#at", "Enter")
        assert said in page.inner_text("#at-problem")
        assert page.get_attribute("#at", "aria-invalid") == "true"
    page.fill("#at", "10, 10")
    page.press("#at", "Enter")
    page.wait_for_selector("#place-problem .problem")
    assert "wanted a place on the maps of bay" in page.inner_text("#place-problem")
    assert page.inner_text("#at-problem") == ""


def test_a_name_that_is_a_script_is_text(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open()
    page = there.page
    page.locator("#stations button", has_text="onerror").click()
    page.wait_for_selector("#place-facts > *")
    page.wait_for_selector("#series-body > *")
    assert page.inner_text("#place-title") == SCRIPT
    assert page.locator("img, script:not([src])").count() == 0
    assert page.title() == "Simulated: Microcystin map – spectm"
    page.goto(f"{there.root}/#area=bay&station=" + "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    page.wait_for_selector("#place-problem .problem")
    assert page.inner_text("#place-title") == "<img src=x onerror=alert(1)>"
    assert "Pier" in page.inner_text("#place-problem")
    assert page.locator("img").count() == 0
    assert there.complaints == []


@pytest.mark.parametrize("lacking", ["WebGL", "the script"])
def test_a_plain_picture_where_the_map_cannot_be_drawn(visit: Callable[..., Visit], lacking: str) -> None:
    there = visit(NO_WEBGL if lacking == "WebGL" else "")
    if lacking == "the script":
        there.page.route("**/maplibre-gl.mjs*", lambda route: route.abort())
    there.open("#area=bay&day=2024-08-12")
    page = there.page
    assert page.evaluate("document.querySelector('#map img').naturalWidth") > 300
    assert page.get_attribute("#map img", "alt") == "Estimated microcystin, 12 to 19 August 2024"
    assert "picture" in page.inner_text("#map")
    page.click("#earlier")
    there.drawn("day=2024-08-04")
    page.click("#stations button >> nth=0")
    page.wait_for_selector("#place-facts > *")
    page.reload()
    there.drawn("day=2024-08-04")
    assert [one for one in there.complaints if "Failed to load resource" not in one] == []


def test_a_link_opens_the_same_view(visit: Callable[..., Visit]) -> None:
    first = visit()
    first.open("#area=bay&day=2024-08-14&show=exceedance&above=24&ahead=8&at=41.79,-83.29")
    first.page.wait_for_selector("#series-body svg")
    second = visit()
    second.open(first.page.url.removeprefix(first.root + "/"))
    second.page.wait_for_selector("#series-body svg")
    for name in ("#view-title", "#days", "#place-title", "#place-facts", "#legend"):
        assert second.page.inner_text(name) == first.page.inner_text(name)
    assert "12 to 19 August 2024" in first.page.inner_text("#days")  # any day of a period will do
    assert second.page.is_checked("#horizon input[value='8']")
    second.page.evaluate("location.hash = '#area=bay&day=2024-08-04'")
    second.drawn("day=2024-08-04")
    assert second.page.is_checked("#show input[value=estimate]")
    assert second.page.is_hidden("#place")


def test_a_link_that_makes_no_sense_opens_what_there_is(visit: Callable[..., Visit]) -> None:
    there = visit()
    for view in (
        "#area=none&day=1999-01-01&show=all&ahead=x&above=-1&at=a,b",
        "#area=%00&day=&at=91,0&station",
    ):
        there.page.goto("about:blank")  # or only the part after # would change
        there.open(view)
        assert there.page.inner_text("#view-title") == "Estimated microcystin, 28 August to 4 September 2024"
        assert ("1 January 1999" in there.page.inner_text("#page-problem")) == ("1999" in view)
    assert there.complaints == []


def test_areas_are_changed(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.open("#area=bay&station=Pier")
    page = there.page
    page.select_option("#area", "harbour")
    there.drawn("area=harbour")
    assert page.inner_text("#banner").startswith("Experimental")
    assert page.is_hidden("#stamp")
    assert page.is_hidden("#place")
    assert page.inner_text("#days").endswith("2 of 2")
    assert there.complaints == []


def test_an_error_is_said_in_words_and_tried_again(visit: Callable[..., Visit]) -> None:
    there = visit()
    page = there.page
    answer = {"status": 503, "json": {"detail": "wanted a map, found <b>none</b>. Ask again."}}
    page.route("**/overlay.png*", lambda route: route.fulfill(**answer))
    page.route("**/stations?*", lambda route: route.abort())
    page.goto(there.root)
    page.wait_for_selector("#map-problem .problem")
    assert "found <b>none</b>. Ask again." in page.inner_text("#map-problem")
    assert page.get_attribute("#map", "data-shown") is None  # nothing old stands under the new title
    page.wait_for_selector("#stations-problem .problem")
    assert "can’t be reached" in page.inner_text("#stations-problem")
    page.unroute("**/overlay.png*")
    page.unroute("**/stations?*")
    page.click("#map-problem button")
    there.drawn()
    assert page.locator("#map-problem .problem").count() == 0
    page.click("#stations-problem button")
    page.wait_for_selector("#stations button")
    assert [one for one in there.complaints if "Failed to load resource" not in one] == []


def test_a_late_answer_is_not_shown_over_a_newer_one(visit: Callable[..., Visit]) -> None:
    there = visit()
    page = there.page
    there.open("#area=bay&day=2024-08-28&station=Pier")
    page.wait_for_selector("#place-facts .card")
    held = []
    page.route("**/point?*period=2024-08-20*", lambda route: held.append(route))
    page.route("**/overlay.png?*period=2024-08-20*", lambda route: held.append(route))
    page.click("#earlier")
    page.wait_for_function("() => location.hash.includes('2024-08-20')")
    page.wait_for_timeout(200)
    assert len(held) == 2
    page.click("#earlier")
    there.drawn("day=2024-08-12")
    page.wait_for_function(
        "() => document.getElementById('place-facts').innerText.includes('12 to 19 August')"
    )
    for route in held:
        route.continue_()
    page.wait_for_timeout(400)
    assert "12 to 19 August" in page.inner_text("#place-facts")
    assert "day=2024-08-12" in page.evaluate("document.getElementById('map').dataset.shown")


def test_spectrum_and_explanation_are_asked_for_when_they_are_opened(visit: Callable[..., Visit]) -> None:
    there = visit()
    page = there.page
    spectrum = {
        "wavelength": [500.0, 560.0, 620.0, 680.0, 710.0],
        "Rrs": [0.004, 0.01, 0.006, None, 0.003],
        "inferred": [None, None, 0.0055, 0.004, None],
        "windows": [[615.0, 640.0]],
        "simulated": True,
    }
    parts = [
        {"name": "the calendar", "change_log10": 0.3, "spread_log10": 0.1, "about": "what is usual here"},
        {"name": "<b>phycocyanin</b>", "change_log10": -0.1, "spread_log10": None, "about": "615 to 640 nm"},
    ]
    explanation = {"start": 0.5, "estimate": 0.8, "parts": parts, "text": "What the model used."}
    page.route(re.compile(r".*/spectrum\?.*"), lambda route: route.fulfill(json=spectrum))
    page.route(re.compile(r".*/explanation\?.*"), lambda route: route.fulfill(json=explanation))
    page.route(
        re.compile(r".*/areas/bay$"),
        lambda route: route.fulfill(json={**asked(there, "areas/bay"), "can_explain": True}),
    )
    there.open("#area=bay&day=2024-08-28&station=Pier")
    page.wait_for_selector("#spectrum summary")
    assert not any("/spectrum?" in url for url in there.asked)
    page.click("#spectrum > summary")
    page.wait_for_selector("#spectrum-body polyline.measured")
    assert page.locator("#spectrum-body polyline").count() == 2
    assert page.locator("#spectrum-body tbody tr").count() == 5
    page.click("#explanation > summary")
    page.wait_for_selector("#explanation-body table")
    assert "<b>phycocyanin</b>" in page.inner_text("#explanation-body")
    assert "+0.30 (× 2)" in page.inner_text("#explanation-body")
    assert there.complaints == []


def test_numbers_are_worded_as_in_the_bulletin(visit: Callable[..., Visit]) -> None:
    page = visit().page
    page.goto(visit().root)
    values = [0.0, 0.05, 0.1, 0.104, 0.25, 0.996, 1.0, 1.96, 9.96, 10.4, 99.6, 123.4, 4321.0, None]
    run = """async ([name, rows]) => {
      const words = await import('/page/words.js');
      return rows.map((row) => words[name](...row));
    }"""
    numbers = [float("nan") if value is None else value for value in values]
    assert page.evaluate(run, ["amount", [[one, 0.1] for one in values]]) == [
        words.amount(one, 0.1) for one in numbers
    ]
    shares = [0.0, 0.004, 0.0149, 0.5, 0.983, 0.996, 1.0, None]
    assert page.evaluate(run, ["percent", [[one] for one in shares]]) == [
        words.percent(float("nan") if one is None else one) for one in shares
    ]
    typed = ["41.83, -83.19", "41.83N 83.19W", "41.83° n, 83.19° w", " −41.83;83.19 "]
    found = page.evaluate(run, ["coordinates", [[one] for one in typed]])
    assert [(one["latitude"], one["longitude"]) for one in found] == [(41.83, -83.19)] * 3 + [(-41.83, 83.19)]


def test_nothing_is_wider_than_the_screen(visit: Callable[..., Visit]) -> None:
    there = visit(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    there.open("#area=bay&day=2024-08-28&station=Pier")
    there.page.wait_for_selector("#series-body svg")
    there.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    for width in (390, 320, 768):
        there.page.set_viewport_size({"width": width, "height": 844})
        assert there.page.evaluate("document.documentElement.scrollWidth") <= width
