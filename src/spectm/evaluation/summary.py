"""A run folder to Markdown: ``docs/results.md`` is written by this and by nobody's hand.

What the paper printed is quoted; whatever is said of the run is computed from its files.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from spectm.evaluation import breakdown, findings
from spectm.evaluation import report_tables as tables
from spectm.evaluation.breakdown import DEFAULT
from spectm.evaluation.figures import Picture
from spectm.evaluation.findings import TASK_TITLES, Row, estimate, number, reading
from spectm.evaluation.report_tables import Table, markdown
from spectm.evaluation.results import ENSEMBLE
from spectm.evaluation.run_folder import RunFolder, read_run_folder
from spectm.evaluation.study import HEADLINE
from spectm.evaluation.sureness_files import of_run, sections

__all__ = ["results_images", "results_page"]

PAPER = "Imtiaz, Nasr Azadani and Alamdari, arXiv 2603.22097"
# Printed there: R2 of SpecTM, of the best baseline, which that is, and the number of labelled samples.
PRINTED = {"current": (0.695, 0.51, "ridge", 147), "ahead": (0.620, 0.31, "svr", 98)}
PRINTED_BANDS, PRINTED_HIDDEN = 122, 28
PRINTED_MASKING, PRINTED_R, PRINTED_SPLINE_R = 0.037, 0.999, 0.96
ABLATION, EFFICIENCY = "by spectm ablate", "by spectm label-efficiency"  # no code in cells of a table
AIMS = {"current": (0.78, 0.39), "ahead": (0.65, 0.33)}  # R2 and skill, set before anything was tried
SEEDS_FOR_CLAIMS = 10  # METHOD: any claim about masking or tasks rests on ten seeds or more


def results_page(folder: Path) -> str:
    """Results of a run as Markdown.

    Parameters
    ----------
    folder : Path
        As `spectm.evaluation.run_folder.read_run_folder` takes it.

    Returns
    -------
    str
        Headings, sentences and tables; ends with a newline.

    Raises
    ------
    ReportError
        If a file is missing, damaged or foreign.
    """
    run = read_run_folder(folder)
    blocks = [
        *_head(run),
        *_in_short(run),
        *_aims(run),
        *(block for task in run.tasks for block in _of_task(run, task)),
        *_paper(run),
        *_pairs(run),
        *_reconstruction(run),
        *_added(run),
        *_in_detail(run),
        *_sureness(run),
        *_limits(run),
    ]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def results_images(folder: Path) -> dict[str, Picture]:
    """Pictures of the page by the names of their files, which lie in ``images`` beside it.

    Parameters and errors are those of `results_page`.
    """
    return _images(read_run_folder(folder))


def _images(run: RunFolder) -> dict[str, Picture]:
    found = {f"results-worst-{task}.svg": breakdown.worst_picture(run, task) for task in run.tasks}
    return {name: picture for name, picture in found.items() if picture is not None}


def _head(run: RunFolder) -> Iterator[str]:
    yield "# Results"
    if origin := findings.origin(run):
        yield f"**{origin}**"
    record = run.record
    wrote = (
        f"with spectm {record['spectm_version']} on {record['written'][:10]}" if record else "at some time"
    )
    yield (
        f"Written {wrote} by `spectm evaluate`, from the files that it wrote; not by hand. The command "
        "below repeats it: `settings.toml` is in the output folder. `docs/formats.md` says what each file "
        "holds."
    )
    yield f"```sh\n{command(run)}\n```"
    if run.absent:
        yield f"Not in this run, and so not on this page: {', '.join(run.absent)}."
    yield markdown(tables.count_table(run))


def command(run: RunFolder) -> str:
    """Command line that makes the same page, as far as the run recorded it."""
    files = [str(file.get("file", "FILE")) for file in run.record.get("files", [])]
    patches, *unlabelled = files or ["FILE"]
    words = ["spectm", "evaluate", "--patches", patches]
    words += [word for name in unlabelled for word in ("--unlabelled", name)]
    words += ["--labels", str(run.record.get("labels", "PATH"))]
    words += [word for name in run.record.get("foreign", []) for word in ("--foreign", str(name))]
    # Flags such as --quick end up in the settings that are kept, so these alone repeat the run.
    words += ["--config", "settings.toml", "--out", "DIR", "--results", "docs/results.md"]
    return shlex.join(words)


def _in_short(run: RunFolder) -> Iterator[str]:
    yield "## In short"
    lines = []
    for task in run.tasks:
        title = TASK_TITLES.get(task, task)
        lines.append(f"- {title}, {findings.what_was_tested(run, task)}: {findings.best_model(run, task)}.")
        if not run.ensembles(task).empty:
            lines += [f"- {title}: {findings.adds_to_calendar(run, task)}"]
            lines += [f"- {title}, {line}" for line in findings.versus_baselines(run, task)]
    yield "\n".join(lines)


def _aims(run: RunFolder) -> Iterator[str]:
    """What was wanted of the real lake, and what was reached."""
    rows = [row for task in run.tasks if task in AIMS for row in _aim_rows(run, task)]
    if findings.origin(run) or not rows:
        return
    yield "## Aims"
    yield (
        "Set before anything was tried. The highest of a table is chosen by the scores it is judged by. Two "
        "more aims: targeted masking better than random masking, its interval above zero (`spectm ablate`); "
        "and fewer than half of the labels to equal the best baseline trained on all (`spectm "
        "label-efficiency`)."
    )
    columns = ("Task", "Model", "R2, aim", "R2", "Skill against climatology, aim", "Skill", "Reached")
    yield markdown(Table("Aims, leave-date-out", columns, rows))


def _aim_rows(run: RunFolder, task: str) -> Iterator[tuple[str, ...]]:
    """The calendar, the default and the model of the highest R2 beside the aim."""
    scores = run.ensembles(task)
    known = scores[scores["r2"].notna()]
    named = {("climatology", "season"): "", DEFAULT: ", the default"}
    if len(known):
        best = known.iloc[int(known["r2"].argmax())]
        named.setdefault((str(best["model"]), str(best["context"])), ", the highest")
    aim, skill = AIMS[task]
    for (model, context), told in named.items():
        row = _score(run, task, HEADLINE, model, context)
        if row is not None:
            reached = "yes" if row["r2"] >= aim and row["skill_climatology"] >= skill else "no"
            cells = (number(aim), estimate(row, "r2"), number(skill), estimate(row, "skill_climatology"))
            yield TASK_TITLES[task], f"{model} ({context}){told}", *cells, reached


def _of_task(run: RunFolder, task: str) -> Iterator[str]:
    yield f"## {TASK_TITLES.get(task, task)}"
    if run.ensembles(task).empty:
        yield f"Not scored by {HEADLINE}."
    else:
        yield (
            "Compare within one context. Ensembles over seeds are scored; the last column has the number of "
            "seeds and the standard deviation of R2 over single ones."
        )
        yield markdown(tables.score_table(run, task))
    if len(run.splits) > 1:
        yield markdown(tables.split_table(run, task))
        yield (
            "Not run, for what it would cost: variants of SpecTM that are there to be compared with it, but "
            f"for {HEADLINE} and the spectrum alone; and random-5 with context for fine-tuned SpecTM. In "
            "leave-date-out-strict and random-5 SpecTM has its first seed alone."
        )
    else:
        yield f"No other split than {run.splits[0]} was run."


def _paper(run: RunFolder) -> Iterator[str]:
    yield "## Beside the paper"
    yield (
        f"Printed by {PAPER}, and what this run gives for the same quantity with the spectrum alone. The two "
        "do not compare directly: the differences are below."
    )
    rows = [row for task in run.tasks if task in PRINTED for row in _paper_scores(run, task)]
    rows += _paper_reconstruction(run)
    rows.append(("Label efficiency at 5 % of the labels", "2.2 times", EFFICIENCY, "not run"))
    yield markdown(Table("Figures of the paper", ("Quantity", "Paper", HEADLINE, "random-5"), rows))
    yield "Differences in protocol:"
    yield "\n".join(f"- {line}" for line in _differences(run))


def _paper_scores(run: RunFolder, task: str) -> Iterator[tuple[str, ...]]:
    spectm, baseline, name, _ = PRINTED[task]
    title = TASK_TITLES[task]
    for label, printed, model, context in (
        ("SpecTM", number(spectm, 3), "spectm", "none"),
        (f"best baseline there, {name}", number(baseline), name, "none"),
        ("climatology", "n/a", "climatology", "season"),
    ):
        here = _score(run, task, HEADLINE, model, context)
        shuffled = _score(run, task, "random-5", model, context)
        yield (
            f"{title}, R2 of {label}",
            printed,
            "not run" if here is None else estimate(here, "r2"),
            "not run" if shuffled is None else f"{number(shuffled['r2'])} +- {number(shuffled['r2_spread'])}",
        )
    printed = number(PRINTED_MASKING, 3) if task == "current" else "n/a"
    yield (f"{title}, R2 of targeted minus random masking", printed, ABLATION, "not run")


def _paper_reconstruction(run: RunFolder) -> Iterator[tuple[str, ...]]:
    """The paper hides no guards; a spline reaches the interior windows only."""
    table = run.reconstruction[run.reconstruction["guard_nm"] == 0]
    for label, printed, method, window in (
        ("Hidden bands, r of SpecTM", number(PRINTED_R, 3), "spectm", "all"),
        (
            "Hidden bands, r of cubic spline (here: interior windows)",
            number(PRINTED_SPLINE_R),
            "spline",
            "interior",
        ),
    ):
        found = table.loc[(table["method"] == method) & (table["window"] == window), "r"]
        yield label, printed, "not run" if found.empty else number(float(found.iloc[0]), 4), "n/a"


def _score(run: RunFolder, task: str, split: str, model: str, context: str) -> Row | None:
    scores = run.ensembles(task, split)
    found = scores[(scores["model"] == model) & (scores["context"] == context)].to_dict("records")
    return found[0] if found else None


def _differences(run: RunFolder) -> Iterator[str]:
    for task in run.tasks:
        if task in PRINTED:
            n = len(findings.sample_rows(run, task))
            yield f"{TASK_TITLES[task]}: {PRINTED[task][3]} labelled samples there, {n} here."
    first = run.examples[run.examples["guard_nm"] == 0]
    first = first[first["example"] == first["example"].min()]
    here = (
        f"{len(first)} here, {int(first['scored'].sum())} in windows" if len(first) else "not recorded here"
    )
    yield f"Bands: {PRINTED_BANDS} there, {PRINTED_HIDDEN} of them hidden; {here}."
    yield (
        "Splits: here a day is left out with all within 60 hours of it, for pretraining too. Random-5 puts "
        "samples of one day on both sides and flatters. No code of the paper was published."
    )
    yield "A value below detection is censored here, and scored as its limit."
    yield "Every R2 here stands beside a climatology of earlier years, which needs no satellite."


def _pairs(run: RunFolder) -> Iterator[str]:
    yield "## Pairs of models"
    if run.pairs.empty:
        yield "No pairs were compared in this run."
        return
    yield (
        "Differences in R2 on the same samples and the same draws of days; above zero, the first is better. "
        "Corrected: the interval and p hold for all pairs of the first model in one context, and the reading "
        "is by that interval. A true difference of the size given last but one would be found four times in "
        "five. Both models of a pair have the same seeds."
    )
    for task in run.tasks:
        if (table := tables.pair_table(run, task)) is not None:
            yield markdown(table)


def _reconstruction(run: RunFolder) -> Iterator[str]:
    yield "## Hidden bands"
    table = tables.reconstruction_table(run)
    if table is None:
        yield "Reconstruction was not run."
        return
    yield (
        "Spectra of days left out; every method learned from the same other days. Neighbouring bands are "
        "nearly alike, so that a high r is easy and says nothing about toxin. The spline is not scored where "
        "no visible band lies beyond the window."
    )
    yield "Is spectm as good as ridge?"
    verdicts = findings.reconstruction_verdicts(run)
    yield "\n".join(f"- {line}." for line in verdicts or ["spectm was not among the methods"])
    yield markdown(table)


def _added(run: RunFolder) -> Iterator[str]:
    yield "## What the satellite adds"
    yield (
        "To the calendar (the climatology), and to the last laboratory value (persistence): SpecTM, and in "
        "each context the baseline of the highest R2. Differences are paired, on the same samples and draws "
        "of days. Corrected: the interval and p hold for all models of the task's table at once, so that "
        "choosing the best of them is paid for. A true difference of the size given last but one would be "
        "found four times in five."
    )
    for task in run.tasks:
        if run.ensembles(task).empty:
            continue
        if table := breakdown.added_table(run, task):
            yield markdown(table)
        rows = list(_calendar_rows(run, task))
        columns = ("Model", "Context", "Skill against climatology [95 %]", "Reading")
        if rows:
            yield markdown(Table(f"{TASK_TITLES.get(task, task)}: beside the calendar", columns, rows))


def _calendar_rows(run: RunFolder, task: str) -> Iterator[tuple[str, ...]]:
    for context in run.contexts:
        baseline = findings.best_baseline(run, task, context)
        for model in (DEFAULT[0], "spectm", "spectm-probe", *([str(baseline["model"])] if baseline else [])):
            row = _score(run, task, HEADLINE, model, context)
            if row is not None and model not in findings.REFERENCES:
                said = reading(row["skill_climatology_low"], row["skill_climatology_high"])
                yield model, context, estimate(row, "skill_climatology"), said


def _in_detail(run: RunFolder) -> Iterator[str]:
    yield f"## {DEFAULT[0]} in detail"
    yield (
        f"What `spectm finetune` makes, with context {DEFAULT[1]}. A station or month has few samples: look "
        "at the intervals. Rrs is that of the overpass, a mean over the patch."
    )
    images = _images(run)
    for task in run.tasks:
        found = [breakdown.group_table(run, task, by) for by in ("station", "month")]
        found.append(breakdown.worst_table(run, task))
        if not any(found):
            yield f"{TASK_TITLES.get(task, task)}: it was not run, or not by {HEADLINE}."
        yield from (markdown(table) for table in found if table)
        if picture := images.get(name := f"results-worst-{task}.svg"):
            yield f"![{picture.alt}](images/{name})\n\n*{picture.caption}*"


def _sureness(run: RunFolder) -> Iterator[str]:
    """Intervals, exceedance and flags, in the order of the page."""
    for section in sections(of_run(run), run.tasks, pictures=False):
        yield f"## {section['heading']}"
        yield section["explanation"]
        for part in section["parts"]:
            title = f"{part['title']}, " if part["title"] else ""
            yield "\n".join(f"- {title}{line}" for line in part["says"])
            yield from (markdown(table) for table in part["tables"])


def _limits(run: RunFolder) -> Iterator[str]:
    yield "## Limits"
    lines = findings.caveats(run)
    for task in run.tasks:
        if not run.ensembles(task).empty:
            lines.append(f"{TASK_TITLES.get(task, task)}: {findings.smallest_visible(run, task)}.")
    seeds = _n_seeds(run)
    if 0 < seeds < SEEDS_FOR_CLAIMS:
        lines.append(
            f"{seeds} seed{'s' if seeds > 1 else ''}: a claim about masking or pretraining tasks wants "
            f"{SEEDS_FOR_CLAIMS} or more: those are made by `spectm ablate`."
        )
    yield "\n".join(f"- {line}" for line in lines)


def _n_seeds(run: RunFolder) -> int:
    scores: pd.DataFrame = run.scores[(run.scores["model"] == "spectm") & (run.scores["split"] == HEADLINE)]
    return int(scores.loc[scores["seed"] != ENSEMBLE, "seed"].nunique())
