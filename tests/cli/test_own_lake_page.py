"""The commands of docs/own-lake.md, one after the other, in an empty folder."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from spectm.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "own-lake.md"


def commands() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("spectm ")]


@pytest.mark.slow
def test_the_commands_of_the_page_work(tmp_path, monkeypatch, one_thread) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert [words[0] for words in found] == [
        *("simulate", "matchups", "predict", "finetune", "predict", "evaluate", "own-lake")
    ]
    for words in found:
        assert main([*words, "--workers", "1"] if words[0] == "own-lake" else words) == 0, words
    before, after = pd.read_csv("before.csv"), pd.read_csv("after.csv")
    assert len(before) == len(after) > 10
    assert not before["microcystin_ug_per_l"].equals(after["microcystin_ug_per_l"])
    provenance = json.loads(Path("mine/checkpoint.json").read_text(encoding="utf-8"))["provenance"]
    assert provenance["start"]["name"] == "erie-2024"
    assert provenance["simulated"]
    assert "A quick run" in Path("study/own_lake.md").read_text(encoding="utf-8")
