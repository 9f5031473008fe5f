import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from spectm.errors import ReportError
from spectm.evaluation import figures
from spectm.evaluation.report import typeset, write_report
from spectm.evaluation.run_folder import read_run_folder
from spectm.evaluation.summary import results_page
from spectm.evaluation.sureness_files import FILES

pytestmark = pytest.mark.slow  # each draws a page full of figures

VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """Tags, texts and images of a page; refuses tags that do not close each other."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images, self.ids, self.links, self.words = [], [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.images += [attrs] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def quick(monkeypatch):
    """Figures are built and not drawn, for tests of what the page says."""
    monkeypatch.setattr(figures, "to_picture", lambda canvas, alt, text: figures.Picture("data:,", alt, text))


def page_of(folder):
    path = write_report(folder)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_holds_everything_in_itself(make_run_folder):
    folder = make_run_folder(tasks=("current",))
    page = page_of(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "object", "form"})
    assert "http://" not in text
    assert "https://" not in text
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.images)
    assert not list(folder.glob(".*"))  # nothing unfinished is left


def test_everybody_can_find_their_way(quick, make_run_folder):
    page = page_of(make_run_folder())
    # for each task 3 charts of bars, 6 of agreement and 3 of differences; then 2 examples and 1 of losses
    assert len(page.images) == 2 * (3 + 6 + 3) + 2 + 1
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert np.diff(headings).max() == 1
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


def test_the_summary_says_what_the_numbers_say(quick, make_run_folder):
    text = page_of(make_run_folder()).text
    assert "12 laboratory samples of 3 stations on 4 days (2024-06-03 to 2024-06-24), 4 of them below" in text
    assert "the highest R² is 0.67 [0.50, 0.80], by spectm, given spectrum, season and last" in text
    assert "skill against the climatology is 0.31 [0.15, 0.45] (better). It is the best of 8 rows" in text
    # ridge, gp and twice spectm see the spectrum and no laboratory value; gp's interval alone is above zero
    assert "The spectrum adds to the calendar: of 4 models" in text
    assert "1 has a skill" in text
    assert (
        "The highest skill is 0.19 [0.03, 0.33], by gp, given spectrum and season. 1 of them is worse" in text
    )
    assert "The best baseline given the same is gp, and the difference in R² is −0.03 [−0.12, 0.08]" in text
    assert "to exceed about 0.10 to be seen" in text  # half of 0.08 + 0.12
    assert "one season (2024)" in text


def test_no_claim_where_no_interval_excludes_zero(quick, make_run_folder):
    models = [
        ("climatology", "season", (0.52, 0.3, 0.66), (0.0, 0.0, 0.0)),
        ("spectm", "season", (0.58, 0.38, 0.72), (0.12, -0.02, 0.25)),
    ]
    text = page_of(make_run_folder(models=models)).text
    assert "This run does not show that the spectrum adds to the calendar: of 1 model that" in text
    assert "The spectrum adds to the calendar" not in text


def test_the_climatology_can_be_the_best(quick, make_run_folder):
    models = [
        ("climatology", "season", (0.52, 0.3, 0.66), (0.0, 0.0, 0.0)),
        ("ridge", "season", (0.31, 0.12, 0.45), (-0.42, -0.7, -0.1)),
    ]
    text = page_of(make_run_folder(models=models, optional=False)).text
    assert "by climatology: no model that looks at the spectrum has a higher one" in text
    assert "no pairs of models were compared" in text


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ((1.8, 1.4, 2.2), "spectm is not as good as ridge; its error is 1.80 [1.40, 2.20] times"),
        ((1.0, 0.9, 1.1), "spectm and ridge can't be told apart"),
        ((0.8, 0.7, 0.9), "spectm is better than ridge"),
    ],
)
def test_reconstruction_is_held_against_ridge(quick, make_run_folder, ratio, said):
    assert said in page_of(make_run_folder(ratio=ratio, tasks=("current",))).text


@pytest.mark.parametrize("simulated", [True, False])
def test_what_is_simulated_says_so(make_run_folder, simulated):
    folder = make_run_folder()
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | ({"simulated": True} if simulated else {})))
    page = write_report(folder).read_text()
    assert ("Everything here is simulated" in page) == simulated
    captions = page.count("<figcaption>")
    assert captions > 3
    assert page.count("<figcaption>Simulated. ") == (captions if simulated else 0)
    assert results_page(folder).startswith("# Results\n\n**Everything here is simulated") == simulated


def test_a_partial_run_says_what_is_absent(quick, make_run_folder):
    folder = make_run_folder(tasks=("current",), splits=("leave-date-out",), seeds=1, optional=False)
    text = page_of(folder).text
    missing = ("reconstruction.csv", "reconstruction_examples.csv", "worst_spectra.csv", *FILES, "curves.csv")
    assert f"pairs.csv, {', '.join(missing)}, run.json" in text
    assert "the only split is leave-date-out" in text
    assert "There is no run.json" in text
    assert "Other ways to split" not in text


def test_a_run_without_the_headline_split_has_no_headline(make_run_folder):
    folder = make_run_folder(splits=("random-5", "forward"), optional=False)
    page = page_of(folder)
    assert "It was not scored by leave-date-out, so there is no headline" in page.text
    assert "0.55 ± 0.03" in page.text
    assert page.images == []


def test_everything_from_files_is_escaped(quick, make_run_folder):
    evil = "<script>alert(1)</script>"
    models = [
        ("climatology", "season", (0.5, 0.3, 0.6), (0, 0, 0)),
        (evil, "season", (0.6, 0.3, 0.7), (0.1, 0, 0.2)),
    ]
    folder = make_run_folder(models=models, record={"labels": evil, "mask": f'"{evil}'})
    page = page_of(folder)
    assert "script" not in {tag for tag, _ in page.tags}
    assert evil in page.text
    assert any(evil in image["alt"] for image in page.images)


def test_the_same_tables_give_the_same_page(make_run_folder):
    models = [("climatology", "season", (0.52, 0.3, 0.66), (0.0, 0.0, 0.0))]
    folder = make_run_folder(models=models, tasks=("current",), splits=("leave-date-out",))
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


def test_reading_back_keeps_every_value(make_run_folder):
    folder = make_run_folder()
    run = read_run_folder(folder)
    assert run.absent == FILES  # those have tests of their own
    assert set(run.predictions["station"]) == {"WE2", "WE4", "NA"}  # a station called NA is no missing value
    assert run.contexts == ["none", "season", "season+lab"]
    line = run.ensembles("current").set_index(["model", "context"]).loc[("gp", "season")]
    assert (line["r2"], line["r2_low"], line["r2_high"]) == (0.61, 0.4, 0.74)
    assert run.predictions["below_detection"].mean() == pytest.approx(1 / 3)
    tables = {"examples": "reconstruction_examples.csv", "worst": "worst_spectra.csv"}
    for name in ("scores", "predictions", "pairs", "reconstruction", "examples", "worst", "curves"):
        path = folder / tables.get(name, f"{name}.csv")
        again = pd.read_csv(path, keep_default_na=False, na_values=[""])
        read = getattr(run, name)[list(again.columns)]
        texts = read.select_dtypes(exclude=["number", "bool"]).columns
        again[texts] = again[texts].astype(str)
        pd.testing.assert_frame_equal(read, again, check_dtype=False)


@pytest.mark.parametrize("name", ["scores.csv", "predictions.csv"])
def test_a_missing_file_is_named_with_what_was_found(make_run_folder, name):
    folder = make_run_folder()
    (folder / name).unlink()
    with pytest.raises(
        ReportError, match=rf"{name}, and there is none; found: curves.csv, .* evaluate wrote"
    ):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_no_folder_at_all(tmp_path):
    with pytest.raises(ReportError, match="found: no such folder"):
        write_report(tmp_path / "nowhere")


def test_a_foreign_table_is_refused(make_run_folder):
    folder = make_run_folder()
    (folder / "pairs.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(
        ReportError, match=r"pairs.csv: wanted .* found no task, split, .*; the file has a, b"
    ):
        write_report(folder)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("predicted", "high", r"line 4, column predicted: wanted a number, found 'high'"),
        ("below_detection", "yes", r"line 4, column below_detection: wanted True or False, found 'yes'"),
    ],
)
def test_an_edited_cell_is_named(make_run_folder, column, value, message):
    folder = make_run_folder(tasks=("current",))
    table = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    table.loc[2, column] = value
    table.to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(ReportError, match=message):
        write_report(folder)


def test_tables_of_two_runs_are_refused(make_run_folder):
    folder = make_run_folder()
    table = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    table[table["model"] != "gp"].to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(ReportError, match="not of one run: only one of them has ahead, leave-date-out, gp"):
        write_report(folder)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "is damaged"),
        (json.dumps({"format": "other"}), "wanted the record of an evaluation"),
        (json.dumps({"format": "spectm-evaluation", "format_version": 2}), "format version 2; .* up to 1"),
        (
            json.dumps({"format": "spectm-evaluation", "format_version": 1, "files": 3}),
            "wanted a list under 'files'",
        ),
    ],
)
def test_a_foreign_record_is_refused(make_run_folder, record, message):
    folder = make_run_folder()
    (folder / "run.json").write_text(record, encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        write_report(folder)


def test_a_table_without_an_ensemble_is_refused(make_run_folder):
    folder = make_run_folder()
    for name in ("scores.csv", "predictions.csv"):
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        table[table["seed"] != "ensemble"].to_csv(folder / name, index=False)
    with pytest.raises(ReportError, match="wanted lines with seed 'ensemble', found only 0, 1"):
        write_report(folder)


def test_figures_leave_nothing_behind():
    before = "matplotlib.pyplot" in sys.modules  # another test's library may have brought it
    observed = np.array([0.1, 1.0, 4.0])
    picture = figures.agreement(observed, np.array([1e-9, 1.9, 1e9]), observed == 0.1, title="t")
    assert "1 of 2 detected values lie within a factor of 2; 1 are below" in picture.alt
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_stretches_of_bands_end_between_neighbours():
    wavelength = np.array([600.0, 610.0, 620.0, 640.0, 650.0])
    chosen = np.array([False, True, True, False, True])
    assert figures._runs(wavelength, chosen) == [(605.0, 630.0), (645.0, 650.0)]


def test_typeset_leaves_dates_and_names_alone():
    assert typeset("spectm-no-2 on 2024-05-06, -0.5 ug/L") == "spectm-no-2 on 2024-05-06, −0.5 µg/L"
