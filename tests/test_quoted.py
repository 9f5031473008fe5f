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
