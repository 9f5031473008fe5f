"""What is written of how sure models are, and what a page says of it."""

import base64

import numpy as np
import pandas as pd
import pytest

from spectm.evaluation.report import write_report
from spectm.evaluation.report_tables import markdown
from spectm.evaluation.run_folder import read_run_folder
from spectm.evaluation.summary import results_page
from spectm.evaluation.sureness_blind import SPREAD_OUT, TOGETHER
from spectm.evaluation.sureness_familiar import ANY, LAKE, LOOK
from spectm.evaluation.sureness_files import all_tables, distribution_table, sections
from spectm.evaluation.sureness_findings import (
    CORRUPTION,
    FOREIGN,
    MILD,
    Sureness,
    agreeing_ranges,
    coverage_verdicts,
    familiar_verdicts,
    withheld_verdicts,
)
from spectm.evaluation.sureness_tables import familiar_tables
from tests.evaluation.test_sureness_scores import BELOW, TASKS, MadeTask, Y, flags_of, lines_of


class TimedTask(MadeTask):
    """With times, as tables want them."""

    def __init__(self):
        super().__init__()
        day = np.datetime64("2024-07-01T14", "ns") + np.repeat(np.arange(4), 5) * np.timedelta64(1, "D")
        self.rows = self.rows.assign(sample_time=day, overpass_time=day + np.timedelta64(4, "h"))


def familiar(lake=0.05, wrong=1.0, shelf=0.9):
    lines = [
        ("lake", LAKE, ANY, lake),
        ("lake", LAKE, "shape", lake),
        (CORRUPTION, "glint", ANY, 1.0),
        (CORRUPTION, "percent", ANY, wrong),
        (MILD, "times 1.2", ANY, 0.1),
        (FOREIGN, "shelf", ANY, 1.0),
        (FOREIGN, "shelf", LOOK, shelf),
        (FOREIGN, "shelf", "new place", 1.0),
    ]
    table = pd.DataFrame(lines, columns=["kind", "spectra", "reason", "share"])
    return table.assign(share_of_dates=table["share"], n=100, n_dates=10)


def blind():
    """As with an encoder: two ways to leave dates out, the second of which the season flags."""
    lines = [
        (SPREAD_OUT, "lake", LAKE, ANY, 0.1),
        (SPREAD_OUT, "lake", LAKE, LOOK, 0.1),
        (SPREAD_OUT, CORRUPTION, "glint", ANY, 0.5),
        (SPREAD_OUT, MILD, "times 1.2", ANY, 0.2),
        (TOGETHER, "lake", LAKE, ANY, 0.5),
        (TOGETHER, "lake", LAKE, LOOK, 0.2),
    ]
    table = pd.DataFrame(lines, columns=["left_out", "kind", "spectra", "reason", "share"])
    return table.assign(share_of_dates=table["share"], n=100, n_dates=10)


def tables_of(lines, flags=None, known=None):
    flags = flags_of("bands", np.arange(20) < 4, 0.5) if flags is None else flags
    return all_tables({"current": TimedTask()}, lines, flags, familiar() if known is None else known, blind())


def sure_of(found):
    names = ("calibration", "distribution_scores", "reliability", "withheld", "familiar", "familiar_blind")
    return Sureness(*(found.get(f"{name}.csv", pd.DataFrame()) for name in names))


@pytest.fixture(scope="module")
def lines():
    right = np.where(Y > 0, 0.9, 0.1)
    return pd.concat(
        [
            lines_of("climatology", crps=0.5, p=0.5),
            lines_of("gp", crps=0.3, p=0.4),
            lines_of("blend-plain", crps=0.2, p=right),
        ]
    )


@pytest.fixture(scope="module")
def page(lines):
    found = sections(sure_of(tables_of(lines)), ["current", "ahead"])
    assert [section["heading"] for section in found] == [
        "Intervals",
        "Exceedance",
        "Withholding what looks strange",
        "Familiar or not",
    ]
    assert all(len(section["parts"]) == 1 for section in found)
    return {section["name"]: section["parts"][0] for section in found}


@pytest.mark.slow
def test_distribution_table(lines):
    flags = flags_of("bands", np.arange(20) < 4, 0.5)
    flags = flags[flags["row"] != 7]
    table = tables_of(lines, flags)["distribution.csv"]
    own = table[table["model"] == "gp"].reset_index(drop=True)
    assert own["observed"].tolist() == pytest.approx((10**Y).tolist())
    assert own["median"].tolist() == pytest.approx((10**Y).tolist())
    assert own["low_90"].min() == pytest.approx(0.5 / 10**0.5)
    assert own["below_detection"].tolist() == BELOW.tolist()
    assert own["sample_time"][0] == "2024-07-01T14:00:00Z"
    assert own["flagged"].tolist() == ["True"] * 4 + ["False"] * 3 + [""] + ["False"] * 12
    assert own["reasons"][0] == "shape"
    assert {"p_0.3", "p_8", "p_below_detection", "crps", "n_dates", "strangeness"} <= set(own)


def test_no_interval_ends_below_the_detection_limit():
    low = lines_of("gp", crps=0.1, p=0.5, half_width=3.0).assign(flagged=np.nan, reasons="", strangeness=0.0)
    table = distribution_table({"current": TimedTask()}, low)
    assert (table["low_90"] == 0.1).all()
    assert (table["high_90"] > 100).all()


@pytest.mark.slow
def test_models_stand_in_one_order(lines):
    """Jobs end in any order: the calendar comes first, blends last."""
    found = tables_of(lines.iloc[::-1])
    for name in ("calibration.csv", "distribution_scores.csv", "withheld.csv"):
        assert list(dict.fromkeys(found[name]["model"])) == ["climatology", "gp", "blend-plain"]


@pytest.mark.slow
def test_only_what_there_is_is_written(lines):
    empty = lines.iloc[:0]
    assert list(all_tables(TASKS, empty, empty, familiar(), empty)) == ["familiar.csv"]
    assert all_tables(TASKS, empty, empty, empty, empty) == {}
    without = tables_of(lines, flags_of("bands", False, 0.1).iloc[:0])
    assert "withheld.csv" not in without
    assert withheld_verdicts(sure_of(without), "current") == []


@pytest.mark.slow
def test_what_is_said(page):
    assert page["intervals"]["title"] == "Current week"
    said = page["intervals"]["says"]
    assert said[2] == (
        "blend-plain: 90 % intervals cover 1.00 [1.00, 1.00] (wider than needed) of all rows and 1.00 [1.00, "
        "1.00] (wider than needed) of the detected ones; each date counted the same, as they were "
        "calibrated, 1.00 [1.00, 1.00] (wider than needed) and 1.00 [1.00, 1.00] (wider than needed). Minus "
        "those of gp: interval score 0.000 [0.000, 0.000], not told apart, CRPS -0.100 [-0.100, -0.100], "
        "better."
    )
    assert "Minus those of climatology" in said[1]
    exceedance = page["exceedance"]["says"]
    assert exceedance[1].startswith(
        "blend-plain: Brier skill against the climatology at 1 ug/L is 0.96 [0.96, 0.96], above zero"
    )
    assert "0.3 ug/L: 20 of 20 rows reach it; a claim wants 5 above and below, so none is made." in exceedance
    assert any(line.startswith("1 ug/L: blend-plain") for line in exceedance)
    assert "4 of 20 rows are flagged (20 % on average over dates)" in page["withheld"]["says"][0]


def test_coverage_that_fails_is_told():
    narrow = lines_of("gp", crps=0.3, p=0.5)
    narrow[["low_90", "high_90"]] += 1.0  # half a decade above every row
    (said,) = coverage_verdicts(sure_of(tables_of(narrow)), "current")
    assert said.startswith("gp: 90 % intervals cover 0.00 [0.00, 0.00] (too narrow) of all rows")
    assert said.endswith("There is nothing to hold them against.")


@pytest.mark.slow
def test_flags_are_told(page):
    assert page["familiar"]["says"] == [
        "Of the lake's own 10 dates, held out, 5 % [0, 38] are flagged (5 % are meant to be: inside the "
        "interval), and 5 % of 100 spectra.",
        "Spectra that something is wrong with: at least 100 % of each kind are flagged.",
        "With an encoder, dates spread over the season held out together: 10 % [0, 45] of 10 dates are "
        "flagged (5 % are meant to be: inside the interval), and 10 % of 100 spectra.",
        "With an encoder, dates spread over the season held out together: spectra that something is wrong "
        "with, flagged too seldom (less than 95 %): glint.",
        "With an encoder, neighbouring dates held out together: 50 % [19, 81] of 10 dates are flagged (5 % "
        "are meant to be: more than meant), and 50 % of 100 spectra. By their look alone it is 20 % [3, 56] "
        "of the dates.",
        "shelf: 90 % of 100 spectra are flagged by their look, on the bands that both have.",
    ]
    nothing = pd.DataFrame()
    failed = blind().iloc[:1].assign(reason="not judged: wanted more", share=np.nan, n=0)
    unsaid = Sureness(nothing, nothing, nothing, nothing, nothing, failed)
    assert familiar_verdicts(unsaid) == [
        "With an encoder, dates spread over the season held out together: not judged: wanted more"
    ]
    assert familiar_tables(Sureness(nothing, nothing, nothing, nothing, familiar(), failed))[3:] == []
    missed = familiar_verdicts(Sureness(nothing, nothing, nothing, nothing, familiar(wrong=0.9)))
    assert missed[1].endswith("flagged too seldom (less than 95 %): percent.")
    often = familiar_verdicts(Sureness(nothing, nothing, nothing, nothing, familiar(lake=0.5)))
    assert "50 % [19, 81] are flagged (5 % are meant to be: more than meant)" in often[0]
    twice = familiar_verdicts(Sureness(nothing, nothing, nothing, nothing, familiar(lake=0.1)))
    assert "10 % [0, 45] are flagged (5 % are meant to be: inside the interval)" in twice[0]
    seldom = familiar(lake=0.0).assign(n_dates=100)
    assert (
        "0 % [0, 4] are flagged (5 % are meant to be: fewer than meant)"
        in (familiar_verdicts(Sureness(nothing, nothing, nothing, nothing, seldom))[0])
    )


def test_ranges_that_agree_by_hand():
    """Of ranges with five rows or more: both ends of the interval agree, and 0.01 beyond one does not."""
    bins = [
        (0.1, 0.1, 0.3, 5),
        (0.3, 0.1, 0.3, 9),
        (0.5, 0.51, 0.7, 9),
        (0.7, 0.5, 0.69, 9),
        (0.9, 0.8, 1.0, 4),
    ]
    table = pd.DataFrame(bins, columns=["probability", "frequency_low", "frequency_high", "n"])
    table = pd.concat([table.assign(model="gp"), table.iloc[:1].assign(model="blend-plain")])
    nothing = pd.DataFrame()
    sure = Sureness(nothing, nothing, table.assign(task="current", threshold=1.0), nothing, nothing)
    assert agreeing_ranges(sure, "current", "gp", 1.0) == "2 of 4"
    assert agreeing_ranges(sure, "current", "blend-plain", 1.0) == "1 of 1"
    assert agreeing_ranges(sure, "current", "gp", 8.0) == "n/a"


@pytest.mark.slow
def test_tables_of_the_page(page):
    intervals, parts = (markdown(table) for table in page["intervals"]["tables"])
    assert "| blend-plain | 1.00 [1.00, 1.00] |" in intervals
    assert "| month 07 | 20 | 1.00 [1.00, 1.00] |" in parts
    exceedance, reliability = page["exceedance"]["tables"]
    assert len(exceedance.rows) == 4 * 3
    assert exceedance.breaks == (3, 6, 9)
    assert exceedance.columns[-1] == "Ranges that agree"
    # at 1 ug/L: everything in one range; probabilities of 0.1 and 0.9 where all or nothing came true
    assert [row[-1] for row in exceedance.rows if row[0] == "1 ug/L"] == ["1 of 1", "1 of 1", "0 of 2"]
    assert [row[-1] for row in exceedance.rows if row[0] == "8 ug/L"] == ["n/a"] * 3
    assert [row[:2] for row in reliability.rows] == [
        ("1 ug/L", "0.10"),
        ("1 ug/L", "0.90"),
        ("1.6 ug/L", "0.10"),
        ("1.6 ug/L", "0.90"),
    ]
    (withheld,) = page["withheld"]["tables"]
    assert [row[0] for row in withheld.rows[:3]] == ["all", "not flagged", "flagged"]
    lake, mild, other, *blind = page["familiar"]["tables"]
    # exact intervals of ten dates: 0.025 ** (1 / 10) = 0.69
    assert lake.rows[1] == ("glint", "100", "10", "100 %", "100 % [69, 100]", "none")
    assert mild.rows == [("times 1.2", "100", "10", "10 %", "10 % [0, 45]", "none")]
    assert other.rows == [("shelf", "100", "10", "90 %", "90 % [55, 100]", "new place 100 %")]
    assert [table.caption for table in blind] == [
        "Held-out dates, and what was made of them; with an encoder, dates spread over the season together",
        "Held-out dates, a little off; with an encoder, dates spread over the season together",
        "Held-out dates, and what was made of them; with an encoder, neighbouring dates together",
    ]
    assert [[row[:4] for row in table.rows] for table in blind] == [
        [("the lake, held out", "100", "10", "10 %"), ("glint", "100", "10", "50 %")],
        [("times 1.2", "100", "10", "20 %")],
        [("the lake, held out", "100", "10", "50 %")],
    ]


@pytest.mark.slow
def test_figures_hold_what_the_tables_hold(page):
    pictures = [p for part in ("intervals", "exceedance", "withheld") for p in page[part]["pictures"]]
    assert len(pictures) == 1 + 2 + 1
    for picture in pictures:
        assert b"<svg" in base64.b64decode(picture.uri.split(",")[1])
    assert "blend-plain 90 % of all rows 1.00" in pictures[0].alt
    assert "blend-plain 0.10: 0.00 of 10, 0.90: 1.00 of 10" in pictures[1].alt
    assert "gp" not in pictures[1].alt  # the calendar and the main model alone


def written(folder, tables):
    for name, table in tables.items():
        table.to_csv(folder / name, index=False, float_format="%.6g")
    return read_run_folder(folder)


@pytest.mark.slow
def test_page_and_results_show_it(lines, make_run_folder):
    """Everything comes from the files: what is read back says the same, on both pages."""
    folder = make_run_folder(splits=("leave-date-out",))
    assert "How sure" not in write_report(folder).read_text(encoding="utf-8")
    assert "## Intervals" not in results_page(folder)
    tables = tables_of(lines, flags_of("bands", np.arange(20) < 4, np.where(np.arange(20) < 4, np.inf, 0.3)))
    run = written(folder, tables)
    assert run.absent == ()
    for name, table in tables.items():
        read = getattr(run, name.removesuffix(".csv"))
        assert list(read) == list(read.columns.intersection(table.columns))
        assert set(read) == set(table)
        assert len(read) == len(table)
    assert np.isinf(run.distribution["strangeness"]).sum() == 3 * 4
    assert run.distribution["flagged"].value_counts().to_dict() == {"False": 48, "True": 12}
    page, results = write_report(folder).read_text(encoding="utf-8"), results_page(folder)
    for heading in ("Intervals", "Exceedance", "Withholding what looks strange", "Familiar or not"):
        assert f"<h3>{heading}</h3>" in page
        assert f"\n## {heading}\n" in results
    assert "- Current week, blend-plain: 90 % intervals cover 1.00" in results
    assert "- Of the lake's own 10 dates, held out, 5 % [0, 38] are flagged" in results
    assert "Reliability diagram, Current week, above 1 µg/L" in page


@pytest.mark.slow
def test_simulated_pictures_are_marked(lines, make_run_folder):
    folder = make_run_folder(splits=("leave-date-out",), record={"simulated": True})
    written(folder, tables_of(lines))
    assert 'alt="Simulated. Reliability diagram' in write_report(folder).read_text(encoding="utf-8")
