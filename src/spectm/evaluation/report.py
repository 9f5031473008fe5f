"""A run folder to one page that holds everything in itself: no script, no other host, readable by anybody."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from spectm.data.origin import is_simulated
from spectm.evaluation import breakdown, figures, findings
from spectm.evaluation import report_tables as tables
from spectm.evaluation.figures import Picture
from spectm.evaluation.report_tables import Table
from spectm.evaluation.results import PAIRED
from spectm.evaluation.run_folder import RunFolder, read_run_folder
from spectm.evaluation.scores import THRESHOLDS
from spectm.evaluation.study import HEADLINE
from spectm.evaluation.sureness_files import of_run, sections
from spectm.files import write_text

__all__ = ["write_report"]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` from the files of a run.

    Parameters
    ----------
    folder : Path
        As `spectm.evaluation.run_folder.read_run_folder` takes it. A partial run (one split, one seed, some
        models) gives a shorter page, which says what is absent.

    Returns
    -------
    Path
        The page; replaced at once, so that a broken run leaves the old one whole.

    Raises
    ------
    ReportError
        If a file is missing, damaged or foreign.
    """
    run = read_run_folder(folder)
    source = resources.files("spectm.evaluation").joinpath("templates/report.html.j2")
    # Model names, file names and settings come from files: all of it is escaped.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    contents = _contents(run)
    if is_simulated(run.record):
        contents = _stamped(contents)
    page = environment.from_string(source.read_text(encoding="utf-8")).render(contents)
    path = folder / "report.html"
    write_text(path, page)
    return path


def typeset(text: str) -> str:
    """Plain text with the signs of a printed page.

    Examples
    --------
    >>> typeset("R2 -0.10 [-0.5, 0.2] on 2024-05-06, 3 ug/L")
    'R² −0.10 [−0.5, 0.2] on 2024-05-06, 3 µg/L'
    """
    text = re.sub(r"\bR2\b", "R²", text).replace("ug/L", "µg/L").replace("+-", "±")
    text = text.replace("1e-4 sr^-1", "10⁻⁴ sr⁻¹")
    return re.sub(r"(?<![\w-])-(?=\d)", "−", text)


def _contents(run: RunFolder) -> dict[str, Any]:
    """Everything that the template names."""
    return {
        "record": run.record,
        "origin": findings.origin(run),
        "absent": run.absent,
        "headline": HEADLINE,
        "splits": run.splits,
        "has_headline": HEADLINE in run.splits,
        "caveats": findings.caveats(run),
        "counts": tables.count_table(run),
        "contexts": tables.context_table(run),
        "tasks": [_of_task(run, task) for task in run.tasks],
        "sureness": sections(of_run(run), run.tasks),
        "reconstruction": tables.reconstruction_table(run),
        "verdicts": findings.reconstruction_verdicts(run),
        "examples": list(_examples(run)),
        "curve_table": tables.curve_table(run),
        "curves": _curves(run),
        "files": tables.file_table(run),
        "settings": tables.settings_table(run),
        "facts": _facts(run),
    }


def _stamped(contents: Any) -> Any:
    """The same contents, every picture in them marked as simulated."""
    if isinstance(contents, Picture):
        return figures.stamped(contents, "Simulated")
    if isinstance(contents, dict):
        return {name: _stamped(value) for name, value in contents.items()}
    return [_stamped(value) for value in contents] if isinstance(contents, list) else contents


def _of_task(run: RunFolder, task: str) -> dict[str, Any]:
    """Tables, figures and sentences of one task; without the headline split, only what the others give."""
    contents: dict[str, Any] = {
        "name": task,
        "title": findings.TASK_TITLES.get(task, task),
        "tested": findings.what_was_tested(run, task),
        "best": findings.best_model(run, task),
        "splits": tables.split_table(run, task) if len(run.splits) > 1 else None,
        "scored": not run.ensembles(task).empty,
    }
    if not contents["scored"]:
        return contents
    pictures, agreement_table = _agreement(run, task)
    pairs = tables.pair_table(run, task)
    return contents | {
        "calendar": findings.adds_to_calendar(run, task),
        "versus": findings.versus_baselines(run, task),
        "visible": findings.smallest_visible(run, task),
        "scores": tables.score_table(run, task),
        "bars": list(_bars(run, task)),
        "agreement": pictures,
        "agreement_table": agreement_table,
        "alarms": tables.alarm_table(run, task),
        "exceedance": [tables.exceedance_table(run, task, T) for T in THRESHOLDS],
        "pairs": pairs,
        "differences": list(_differences(run, task)) if pairs else [],
        "added": breakdown.added_table(run, task),
        "groups": [table for by in ("station", "month") if (table := breakdown.group_table(run, task, by))],
        "worst": breakdown.worst_table(run, task),
        "worst_picture": breakdown.worst_picture(run, task),
    }


def _bars(run: RunFolder, task: str) -> Iterator[Picture]:
    """One chart a context, all on the same axis."""
    scores = run.ensembles(task).sort_values("r2", ascending=False, kind="stable")
    known = scores.loc[scores["model"] == "climatology", "r2"]
    reference = float(known.iloc[0]) if len(known) else float("nan")
    # Some intervals reach far below -1, where differences no longer matter: the table has them.
    least = float(np.clip(scores[["r2", "r2_low"]].min().min(), -1.0, 0.0))
    for context in run.contexts:
        chosen = scores[scores["context"] == context]
        if not chosen.empty:
            title = f"{findings.TASK_TITLES.get(task, task)}, context {context}"
            yield figures.interval_bars(chosen, reference=reference, least=least, title=title)


def _agreement(run: RunFolder, task: str) -> tuple[list[Picture], Table]:
    """Observed against predicted: in each context SpecTM, where it was run, and the best baseline."""
    pictures, rows = [], []
    for context in run.contexts:
        baseline = findings.best_baseline(run, task, context)
        for model in (*PAIRED, *([str(baseline["model"])] if baseline else [])):
            lines = run.lines(task, model, context)
            if lines.empty:
                continue
            observed, predicted = (
                lines[name].to_numpy(dtype=np.float64) for name in ("observed", "predicted")
            )
            below = lines["below_detection"].to_numpy(dtype=bool)
            title = f"{model}, context {context}"
            pictures.append(figures.agreement(observed, predicted, below, title=title))
            rows.append(tables.agreement_row(model, context, lines))
    caption = f"{findings.TASK_TITLES.get(task, task)}: predictions within a factor of 2 of the laboratory"
    columns = ("Model", "Context", "Detected samples", "Samples below detection (at most twice the limit)")
    return pictures, Table(caption, columns, rows)


def _differences(run: RunFolder, task: str) -> Iterator[Picture]:
    """One chart of paired differences for each context and model."""
    pairs = run.pairs[run.pairs["task"] == task].sort_values("r2_difference", ascending=False, kind="stable")
    for context in run.contexts:
        for model, chosen in pairs[pairs["context"] == context].groupby("model"):
            title = f"R² of {model} minus that of others, context {context}"
            yield figures.zero_line_intervals(chosen, title=title)


def _examples(run: RunFolder) -> Iterator[Picture]:
    for _, lines in run.examples.groupby(["guard_nm", "example"]):
        first = lines.iloc[0]
        title = f"Guard {first['guard_nm']:g} nm, example {first['example'] + 1:.0f}, {first['date']}"
        yield figures.example(lines.sort_values("wavelength"), title=title)


def _curves(run: RunFolder) -> list[Picture]:
    """Curves of SpecTM, split by split; those of its variants are in the table."""
    chosen = run.curves[run.curves["model"] == "spectm"]
    return [
        figures.loss_curves(lines, title=f"spectm, {split}")
        for split, lines in chosen.groupby("split", sort=False)
    ]


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    """Where the run comes from, as far as it was recorded."""
    names = {
        "written": "Written (UTC)",
        "spectm_version": "spectm",
        "python": "Python",
        "torch": "torch",
        "labels": "Laboratory record",
        "labels_summary": "What was read of it",
        "mask": "Mask",
        "n_parameters": "Parameters of SpecTM",
        "seconds": "Seconds the evaluation took",
    }
    return [(title, str(run.record[key])) for key, title in names.items() if key in run.record]
