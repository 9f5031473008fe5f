import re

import pytest

from spectm.errors import ReportError
from spectm.evaluation.summary import results_page

SPLITS = ("leave-date-out", "random-5", "leave-station-out", "forward")


def tables(page):
    """Every Markdown table as a list of rows of cells."""
    found, rows = [], []
    for line in [*page.splitlines(), ""]:
        if line.startswith("| "):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            found.append(rows)
            rows = []
    return found


def row_starting(page, *cells):
    return next(r for table in tables(page) for r in table if r[: len(cells)] == list(cells))


@pytest.mark.slow
def test_every_table_is_whole(make_run_folder):
    page = results_page(make_run_folder())
    assert page.endswith("\n")
    assert len(tables(page)) == 2 + 2 * 2 + 1 + 2 + 1 + 2
    for table in tables(page):
        assert {len(row) for row in table} == {len(table[0])}


@pytest.mark.slow
def test_scores_stand_where_they_belong(make_run_folder):
    page = results_page(make_run_folder(splits=SPLITS))
    row = row_starting(page, "gp", "season", "0.61 [0.40, 0.74]")
    assert row[3:] == ["0.19 [0.03, 0.33]", "0.40", "0.40", "0 %", "0.40", "1"]
    assert row_starting(page, "spectm", "none", "0.55 [0.35, 0.70]")[-1] == "2: +-0.00"
    by_split = row_starting(page, "gp", "season", "0.61 [0.40, 0.74]", "0.61 +- 0.03")
    assert by_split[4:] == ["0.61 [0.40, 0.74]", "0.61 [0.40, 0.74]", "0.19 [0.03, 0.33]"]
    assert row_starting(page, "spectm minus gp")[1:3] == ["season", "-0.03 [-0.12, 0.08]"]


@pytest.mark.slow
def test_the_command_can_be_given_again(make_run_folder):
    page = results_page(make_run_folder())
    assert (
        "spectm evaluate --patches patches.nc --unlabelled 'more pixels.nc' --labels glerl "
        "--config settings.toml --out DIR --results docs/results.md"
    ) in page


@pytest.mark.slow
def test_the_paper_stands_beside(make_run_folder):
    models = [
        ("ridge", "none", (0.31, 0.12, 0.45), (-0.42, -0.7, -0.1)),
        ("spectm", "none", (0.55, 0.35, 0.7), (0.05, -0.15, 0.2)),
        ("spectm-random-mask", "none", (0.5, 0.3, 0.6), (0.0, -0.1, 0.1)),
    ]
    page = results_page(make_run_folder(models=models, pair=(0.05, 0.01, 0.09)))
    assert row_starting(page, "Current week, R2 of SpecTM") == [
        "Current week, R2 of SpecTM", "0.695", "0.55 [0.35, 0.70]", "0.55 +- 0.03"
    ]  # fmt: skip
    assert row_starting(page, "Eight days ahead, R2 of SpecTM")[1] == "0.620"
    assert row_starting(page, "Current week, R2 of best baseline there, ridge")[1:3] == [
        "0.51",
        "0.31 [0.12, 0.45]",
    ]
    assert row_starting(page, "Eight days ahead, R2 of best baseline there, svr")[1:3] == ["0.31", "not run"]
    assert row_starting(page, "Current week, R2 of climatology")[1:3] == ["n/a", "not run"]
    masking = row_starting(page, "Current week, R2 of targeted minus random masking")
    assert masking[1:3] == ["0.037", "by spectm ablate"]
    assert row_starting(page, "Hidden bands, r of SpecTM")[1:3] == ["0.999", "0.9990"]
    assert "147 labelled samples there, 12 here" in page
    assert "98 labelled samples there, 12 here" in page
    assert (
        "Bands: 122 there, 28 of them hidden; 45 here, 11 in windows" in page
    )  # 615-640 and 660-680, every 5 nm


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ((1.8, 1.4, 2.2), "guard 5 nm: spectm is not as good as ridge; its error is 1.80 [1.40, 2.20]"),
        ((0.8, 0.7, 0.9), "guard 5 nm: spectm is better than ridge; its error is 0.80 [0.70, 0.90]"),
    ],
)
def test_ridge_is_the_measure_of_reconstruction(make_run_folder, ratio, said):
    assert said in results_page(make_run_folder(ratio=ratio))


@pytest.mark.slow
def test_the_calendar_and_the_limits(make_run_folder):
    page = results_page(make_run_folder())
    assert row_starting(page, "gp", "season", "0.19 [0.03, 0.33]")[3] == "better"
    assert row_starting(page, "spectm", "none", "0.05 [-0.15, 0.20]")[3] == "not told apart"
    assert row_starting(page, "ridge", "none", "-0.42 [-0.70, -0.10]")[3] == "worse"
    assert "had to exceed about 0.10 to be seen" in page
    assert "2 seeds: a claim about masking or pretraining tasks wants 10 or more" in page


@pytest.mark.slow
def test_aims_and_what_was_reached(make_run_folder):
    models = [
        ("climatology", "season", (0.52, 0.3, 0.66), (0.0, 0.0, 0.0)),
        ("spectm-blend", "season", (0.7, 0.5, 0.8), (0.38, 0.2, 0.5)),
        ("gp", "none", (0.79, 0.6, 0.9), (0.39, 0.2, 0.5)),
    ]
    page = results_page(make_run_folder(models=models))
    table = next(table for table in tables(page) if "R2, aim" in table[0])
    assert [row[1:] for row in table[2:5]] == [
        ["climatology (season)", "0.78", "0.52 [0.30, 0.66]", "0.39", "0.00 [0.00, 0.00]", "no"],
        [
            "spectm-blend (season), the default",
            "0.78",
            "0.70 [0.50, 0.80]",
            "0.39",
            "0.38 [0.20, 0.50]",
            "no",
        ],
        ["gp (none), the highest", "0.78", "0.79 [0.60, 0.90]", "0.39", "0.39 [0.20, 0.50]", "yes"],
    ]
    assert [row[2] for row in table[5:]] == ["0.65"] * 3


def test_a_simulated_lake_has_no_aims(make_run_folder):
    assert "## Aims" not in results_page(make_run_folder(record={"simulated": True}))


@pytest.mark.slow
def test_ten_seeds_carry_a_claim(make_run_folder):
    folder = make_run_folder(tasks=("current",), splits=("leave-date-out",), seeds=10, optional=False)
    page = results_page(folder)
    assert "so this page makes none" not in page
    assert "No other split than leave-date-out was run" in page
    assert "Reconstruction was not run" in page
    assert "No pairs were compared" in page
    assert "Written at some time" in page


@pytest.mark.slow
def test_text_from_files_cannot_break_a_table(make_run_folder):
    models = [("a|b<i>", "none", (0.31, 0.12, 0.45), (-0.42, -0.7, -0.1))]
    page = results_page(make_run_folder(models=models, optional=False))
    assert row_starting(page, r"a\|b\<i>", "none", "0.31 [0.12, 0.45]")


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ReportError, match=r"scores.csv, and there is none; found: an empty folder"):
        results_page(tmp_path)
