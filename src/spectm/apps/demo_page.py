"""The demo as one page for a newcomer: what was simulated, what was learned, how well, and what now."""

import base64
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from spectm.apps.demo_map import LakeMap, draw_map, lake_map
from spectm.data.cube import open_cube, period_records
from spectm.data.periods import Period
from spectm.data.quicklook import draw_cube
from spectm.evaluation import figures, findings
from spectm.evaluation.figures import Picture
from spectm.evaluation.findings import TASK_TITLES, estimate
from spectm.evaluation.report import typeset
from spectm.evaluation.report_tables import Table
from spectm.evaluation.run_folder import RunFolder, read_run_folder
from spectm.files import replacing
from spectm.simulation.season import read_season

__all__ = ["write_demo_page"]

KINDS = {
    "mean": "the mean of the laboratory's values",
    "climatology": "the calendar: what earlier years say of the day and station; no satellite",
    "persistence": "the newest earlier laboratory value at the station; no satellite",
    "ridge": "ridge regression on the bands",
    "blend-plain": "ridge on bands and indices, the calendar known and not, averaged over ten days",
    "spectm": "SpecTM, pretrained on the composites, then all of it fine-tuned",
    "spectm-blend": "SpecTM, pretrained; its embedding beside bands and indices in such a blend",
}


def write_demo_page(folder: Path, period: Period, commands: Sequence[str], *, seconds: float) -> Path:
    """Write ``report.html`` from what the commands of the demo left in a folder.

    Parameters
    ----------
    folder : Path
        With ``lake``, ``cube.zarr``, ``matchups.csv``, ``evaluation`` and ``predictions``; gets
        ``composite.png`` and ``map.png``, too.
    period : Period
        The one that is shown.
    commands : sequence of str
        What was run, to be shown.
    seconds : float
        How long it took.

    Returns
    -------
    Path
        The page; it holds everything in itself.

    Raises
    ------
    SpectmError
        If something is missing or damaged.
    """
    season, run = read_season(folder / "lake"), read_run_folder(folder / "evaluation")
    shown = lake_map(folder / "cube.zarr", folder / "predictions", period, season)
    draw_map(shown, folder / "map.png")
    with open_cube(folder / "cube.zarr") as cube:
        draw_cube(cube.sel(time=[period.start]), folder / "composite.png")
    matchups = pd.read_csv(folder / "matchups.csv")
    matchups = matchups[matchups["date"].str[:4].astype(int).isin(season.years)]
    contents: dict[str, Any] = {
        "origin": findings.origin(run),
        "season": season,
        "n_granules": len(list((folder / "lake" / "granules").glob("*.nc"))),
        "n_periods": _periods_seen(folder / "cube.zarr"),
        "n_samples": len(matchups),
        "n_seen": int(matchups["overpass_time"].notna().sum()),
        "composite": _composite(folder / "composite.png", shown),
        "map": _map(folder / "map.png", shown),
        "shown": shown,
        "hidden": _hidden(run),
        "verdicts": [
            said.partition(": ")[2].replace("spectm", "SpecTM")
            for said in findings.reconstruction_verdicts(run)
        ],
        "tasks": [_of_task(run, task) for task in run.tasks],
        "scores": _scores(run),
        "commands": list(commands),
        "minutes": f"{seconds / 60:.0f}",
    }
    source = resources.files("spectm.apps").joinpath("templates/demo.html.j2")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    page = environment.from_string(source.read_text(encoding="utf-8")).render(contents)
    path = folder / "report.html"
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def _periods_seen(cube: Path) -> int:
    return sum(record["pixels"]["used"] > 0 for record in period_records(cube).values())


def _png(path: Path, alt: str, caption: str) -> Picture:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return Picture(f"data:image/png;base64,{data}", alt, caption)


def _composite(path: Path, shown: LakeMap) -> Picture:
    caption = (
        f"Simulated. All passes of {shown.period} on one grid, in approximate colours. Grey: land, and "
        "water that no pixel without cloud was seen of."
    )
    return _png(path, f"Picture of western Lake Erie as the composite shows it, {shown.period}.", caption)


def _map(path: Path, shown: LakeMap) -> Picture:
    caption = (
        f"Simulated. Microcystin in {shown.period}: left what the fine-tuned model estimates from the "
        "composite, right what the lake held. One colour scale; grey: water that was not seen; rings: "
        "stations of the laboratory."
    )
    alt = (
        f"Two maps of western Lake Erie, estimate and truth. Rank correlation {shown.rank_correlation:.2f} "
        f"over {shown.n_cells} cells."
    )
    return _png(path, alt, caption)


def _hidden(run: RunFolder) -> list[Picture]:
    """Two spectra with hidden windows, one dim and one bright."""
    examples = run.examples[run.examples["guard_nm"] == run.examples["guard_nm"].min()]
    numbers = sorted(set(examples["example"]))
    pictures = []
    for chosen in numbers[1:2] + numbers[-1:]:
        lines = examples[examples["example"] == chosen].sort_values("wavelength")
        picture = figures.example(lines, title=f"Spectrum of {lines['date'].iloc[0]}")
        pictures.append(figures.stamped(picture, "Simulated"))
    return pictures


def _scores(run: RunFolder) -> Table:
    """R2 of every model and task: references first, then by context."""
    tables = {task: run.ensembles(task) for task in run.tasks}
    keys = list(
        dict.fromkeys(
            (str(row["model"]), str(row["context"]))
            for scores in tables.values()
            for row in scores.to_dict("records")
        )
    )
    keys.sort(key=lambda key: (key[0] not in findings.REFERENCES, run.contexts.index(key[1])))
    rows = [
        (
            model,
            KINDS.get(model, ""),
            "-" if model in findings.REFERENCES else findings.CONTEXT_MEANINGS.get(context, context),
            *(_cell(tables[task], model, context) for task in run.tasks),
        )
        for model, context in keys
    ]
    breaks = tuple(i for i in range(1, len(keys)) if _group(keys[i]) != _group(keys[i - 1]))
    columns = (
        "Model",
        "What it is",
        "What it is given",
        *(f"{TASK_TITLES[task]}: R2 [95 %]" for task in run.tasks),
    )
    return Table("R2 on days that were left out", columns, rows, breaks)


def _group(key: tuple[str, str]) -> str:
    return "" if key[0] in findings.REFERENCES else key[1]


def _cell(scores: pd.DataFrame, model: str, context: str) -> str:
    chosen = scores[(scores["model"] == model) & (scores["context"] == context)].to_dict("records")
    return estimate(chosen[0], "r2") if chosen else "-"


def _of_task(run: RunFolder, task: str) -> dict[str, Any]:
    """Sentences on one task."""
    return {
        "title": TASK_TITLES.get(task, task),
        "tested": findings.what_was_tested(run, task),
        "best": findings.best_model(run, task),
        "calendar": findings.adds_to_calendar(run, task),
        "versus": findings.versus_baselines(run, task),
        "bars": _bars(run, task),
    }


def _bars(run: RunFolder, task: str) -> Picture:
    """Chart of the models that see the spectrum alone, with the climatology as a line."""
    scores = run.ensembles(task)
    known = scores.loc[scores["model"] == "climatology", "r2"]
    chosen = scores[scores["context"] == "none"].sort_values("r2", ascending=False, kind="stable")
    picture = figures.interval_bars(
        chosen,
        reference=float(known.iloc[0]) if len(known) else float("nan"),
        least=max(-1.0, min(0.0, float(chosen["r2_low"].min()))),
        title=f"{TASK_TITLES.get(task, task)}, the spectrum alone",
    )
    return figures.stamped(picture, "Simulated")
