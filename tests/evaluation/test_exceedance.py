"""Probabilities of several lakes, held against what came true."""

from pathlib import Path

import pandas as pd
import pytest

from tools.exceedance import Lines, main, read_lakes


def folder_of(path: Path, observed: list[float], p_8: list[float], usual: float) -> Path:
    """A run of one task: each row a date of its own, the same dates in every lake."""
    n = len(observed)
    common = {
        "task": "current",
        "fold": [f"2024-07-{day:02d}" for day in range(1, n + 1)],
        "station": "NA",
        "sample_time": [f"2024-07-{day:02d}T14:00:00Z" for day in range(1, n + 1)],
        "observed": observed,
        "below_detection": [value <= 0.1 for value in observed],
    }
    models = {"blend-plain": p_8, "climatology": [usual] * n}
    parts = [pd.DataFrame({**common, "model": name, "p_1": p, "p_8": p}) for name, p in models.items()]
    path.mkdir()
    pd.concat(parts).sample(frac=1, random_state=0).to_csv(path / "distribution.csv", index=False)
    return path


def test_lakes_are_pooled_and_dates_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder_of(tmp_path / "one", [9.0, 0.1, 0.1, 0.1, 8.0], [0.9, 0.1, 0.1, 0.1, 0.7], 0.5)
    other = folder_of(tmp_path / "other", [0.1, 0.1, 12.0, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1], 0.5)
    lines = read_lakes([one, other])
    own = Lines(lines[lines["model"] == "blend-plain"])
    assert len(set(own.observed.dates)) == 10
    assert set(lines["station"]) == {"NA"}
    assert main([str(one), str(other)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "blend-plain | 8 |" in line]
    (cells,) = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    assert cells[3:5] == ["10", "3"]
    # 3 of 10 came true; probabilities sum to 2.4. One range has five rows or more: eight, mean 0.1, one true.
    assert cells[5].startswith("0.060 [")
    brier = (0.1**2 + 0.3**2 + 7 * 0.1**2 + 0.9**2) / 10
    assert cells[6].startswith(f"{1 - brier / 0.25:.2f} [")
    assert cells[7] == "1 of 1"
