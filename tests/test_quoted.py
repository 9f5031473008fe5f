"""Scores that the README and the model card quote are those of the results page, which a command writes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = (ROOT / "src/spectm/released/erie-2024/card.md").read_text(encoding="utf-8")


def scores(task: str, model: str, context: str) -> tuple[str, str]:
    """R2 and skill of the first table of a task, with intervals, as they are printed."""
    part = RESULTS.partition(f"\n## {task}\n")[2]
    row = re.search(
        rf"^\| {model} \| {re.escape(context)} \| ([^|]+) \| ([^|]+) \|", part, flags=re.MULTILINE
    )
    assert row is not None, f"{model}, {context} is not among the scores of {task}"
    return row[1].strip(), row[2].strip()


@pytest.mark.parametrize("task", ["Current week", "Eight days ahead"])
@pytest.mark.parametrize("page", [README, CARD], ids=["README", "card"])
def test_quotes_the_scores_of_the_results_page(page: str, task: str) -> None:
    for quoted in scores(task, "spectm-blend", "season"):
        assert quoted in page
    climatology = scores(task, "climatology", "season")[0].split(" ")[0]
    assert climatology in page


def scores_by_split(task: str, model: str) -> list[str]:
    """R2 with the season in the splits of the second table of a task, in its order."""
    part = RESULTS.partition(f"\n## {task}\n")[2].partition("| Model | Context | leave-date-out,")[2]
    row = re.search(rf"^\| {model} \| season \| (.*) \|$", part, flags=re.MULTILINE)
    assert row is not None, f"{model} is not among the scores of {task} by split"
    return row[1].split(" | ")


SPLITS = ("leave-date-out", "leave-date-out-strict", "random-5", "leave-station-out", "forward")


@pytest.mark.parametrize(("column", "split"), list(enumerate(SPLITS)))
def test_the_card_has_the_scores_of_every_split(column: int, split: str) -> None:
    row = re.search(rf"^\| [^|]*\(`{split}`\) \| (.*) \|$", CARD, flags=re.MULTILINE)
    assert row is not None
    wanted = [
        scores_by_split(task, model)[column]
        for task in ("Current week", "Eight days ahead")
        for model in ("spectm-blend", "climatology")
    ]
    assert row[1].split(" | ") == wanted
