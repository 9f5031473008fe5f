"""What the numbers of a run say, in sentences: each is computed, and none knows its answer beforehand.

The page and the Markdown of a run share these sentences, so that they can't disagree.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spectm.data.origin import is_simulated
from spectm.evaluation.baselines import BASELINES, baseline_contexts
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.claims import Claim, claims, score_draws
from spectm.evaluation.results import ENSEMBLE, PAIRED
from spectm.evaluation.run_folder import RunFolder
from spectm.evaluation.scores import Observations
from spectm.evaluation.study import HEADLINE

__all__ = [
    "CONTEXT_MEANINGS",
    "REFERENCES",
    "TASK_TITLES",
    "adds_to_calendar",
    "best_baseline",
    "best_model",
    "bracketed",
    "caveats",
    "corrected",
    "days",
    "estimate",
    "find_pair",
    "gains",
    "gains_over_calendar",
    "number",
    "origin",
    "origin_of",
    "reading",
    "reconstruction_verdicts",
    "sample_rows",
    "smallest_visible",
    "versus_baselines",
    "what_was_tested",
    "with_context",
]

Row = dict[Hashable, Any]

REFERENCES = ("mean", "climatology", "persistence")
"""Models that look at no spectrum."""
TASK_TITLES = {"current": "Current week", "ahead": "Eight days ahead"}
CONTEXT_MEANINGS = {
    "none": "the spectrum alone",
    "season": "the spectrum, day of year, station and climatology",
    "season+lab": "the same and the last laboratory value",
}
_GIVEN = {
    "none": "given the spectrum alone",
    "season": "given spectrum and season",
    "season+lab": "given spectrum, season and last laboratory value",
}


def number(value: float, digits: int = 2) -> str:
    """A rounded number; "n/a" where there is none, and never a negative zero.

    Examples
    --------
    >>> number(-0.001), number(0.6949), number(float("nan"))
    ('0.00', '0.69', 'n/a')
    """
    if not math.isfinite(value):
        return "n/a"
    return f"{round(value, digits) + 0.0:.{digits}f}"


def estimate(row: Row, name: str, digits: int = 2) -> str:
    """A score with its 95 % interval.

    Examples
    --------
    >>> estimate({"r2": 0.694, "r2_low": 0.5, "r2_high": 0.81}, "r2")
    '0.69 [0.50, 0.81]'
    """
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return bracketed(value, low, high, digits)


def bracketed(value: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its interval; the number alone where the interval is not known."""
    if not math.isfinite(low + high):
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def reading(low: float, high: float) -> str:
    """What an interval of a difference or a skill says.

    Examples
    --------
    >>> reading(0.02, 0.3), reading(-0.3, -0.02), reading(-0.1, 0.1)
    ('better', 'worse', 'not told apart')
    """
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not told apart"


def origin(run: RunFolder) -> str:
    """What of a run was simulated; nothing where everything was measured."""
    return origin_of(run.record)


def origin_of(record: Mapping[str, Any]) -> str:
    """The same of the record of any study: ``simulated``, and ``files`` as in ``run.json``."""
    if is_simulated(record):
        return (
            "Everything here is simulated: the lake, the satellite and the laboratory. No number here says "
            "how well anything works on a real lake."
        )
    names = [str(file.get("file")) for file in record.get("files", []) if is_simulated(file)]
    return f"Pretraining also saw simulated spectra: {', '.join(names)}." if names else ""


def what_was_tested(run: RunFolder, task: str) -> str:
    """How much was tested: samples, stations, days."""
    rows = sample_rows(run, task)
    day = days(rows)
    return (
        f"{len(rows)} laboratory samples of {rows['station'].nunique()} stations on {day.nunique()} days "
        f"({day.min()} to {day.max()}), {int(rows['below_detection'].sum())} of them below detection"
    )


def sample_rows(run: RunFolder, task: str) -> pd.DataFrame:
    """One line per sample of a task, from one model: every model of a split predicts the same ones."""
    of_task = run.predictions[run.predictions["task"] == task]
    of_headline = of_task[of_task["split"] == HEADLINE]
    chosen = of_task if of_headline.empty else of_headline
    keys = ["split", "model", "context", "seed", "repeat"]
    return chosen[(chosen[keys] == chosen[keys].iloc[0]).all(axis=1)].reset_index(drop=True)


def days(rows: pd.DataFrame) -> "pd.Series[str]":
    """Day of each sample: the local one where the fold is named after it, else the UTC one."""
    local = rows["fold"].where(rows["split"] == HEADLINE, rows["sample_time"].str[:10])
    return local.astype(str)


def best_model(run: RunFolder, task: str) -> str:
    """The highest leave-date-out R2, with its interval and skill, and how many it was chosen from."""
    scores = run.ensembles(task)
    known = scores[scores["r2"].notna()]
    if known.empty:
        return f"not scored by {HEADLINE}, so there is no headline"
    best = _row(known, int(known["r2"].argmax()))
    text = f"the highest R2 is {estimate(best, 'r2')}, by {with_context(best)}"
    if best["model"] == "climatology":
        text += ": no model that looks at the spectrum has a higher one"
    else:
        skill = estimate(best, "skill_climatology")
        said = reading(best["skill_climatology_low"], best["skill_climatology_high"])
        text += f"; its skill against the climatology is {skill} ({said})"
    if len(known) > 1:
        text += f". It is the best of {len(known)} rows of a table, which flatters it"
    claim = gains_over_calendar(run, task).get((str(best["model"]), str(best["context"])))
    return text if claim is None else f"{text}. {corrected(claim)}"


def corrected(claim: Claim) -> str:
    """What is left of a difference in R2 from the climatology once the choice among many is counted.

    Examples
    --------
    >>> print(corrected(Claim(0.1, 0.02, 0.2, -0.05, 0.25, 0.31, 0.21)))  # doctest: +NORMALIZE_WHITESPACE
    Corrected for that, R2 minus that of the climatology is 0.10 [-0.05, 0.25] (p 0.31: not told apart);
    0.21 is the least difference that would be found four times in five
    """
    said = reading(claim.corrected_low, claim.corrected_high)
    gap = bracketed(claim.value, claim.corrected_low, claim.corrected_high)
    return (
        f"Corrected for that, R2 minus that of the climatology is {gap} (p {claim.p:.2g}: {said}); "
        f"{number(claim.detectable)} is the least difference that would be found four times in five"
    )


def gains_over_calendar(run: RunFolder, task: str) -> dict[tuple[str, str], Claim]:
    """R2 minus that of the climatology; see `gains`."""
    return gains(run, task, "climatology")


def gains(run: RunFolder, task: str, reference: str) -> dict[tuple[str, str], Claim]:
    """R2 minus that of a reference, by model and context, leave-date-out, corrected for all of them.

    Empty where the reference (one of `REFERENCES`) was not among the models. What does not differ from it is
    left out.
    """
    lines = run.predictions[(run.predictions["task"] == task) & (run.predictions["split"] == HEADLINE)]
    lines = lines[lines["seed"] == ENSEMBLE]
    # Lines of each model are in the order of the rows of the task.
    of_model = {
        (str(model), str(context)): own.reset_index(drop=True)
        for (model, context), own in lines.groupby(["model", "context"], sort=False)
    }
    beside = of_model.pop((reference, baseline_contexts(reference)[0]), None)
    if beside is None or not of_model:
        return {}
    below = beside["below_detection"].to_numpy(dtype=np.bool_)
    days_of = days(beside).to_numpy(dtype=np.str_)
    observed = Observations(np.log10(beside["observed"].to_numpy(dtype=np.float64)), below, days_of)
    means = [np.log10(own["predicted"].to_numpy(dtype=np.float64)) for own in (beside, *of_model.values())]
    floor, *draws = score_draws(observed, np.stack(means))
    found = zip(of_model, claims([each - floor for each in draws]), strict=True)
    return {key: claim for key, claim in found if math.isfinite(claim.p)}


def with_context(row: Row) -> str:
    """Name a model by what it was given."""
    model, context = str(row["model"]), str(row["context"])
    return model if model in REFERENCES else f"{model}, {_GIVEN.get(context, f'context {context}')}"


def best_baseline(run: RunFolder, task: str, context: str) -> Row | None:
    """The baseline with the highest leave-date-out R2 in a context, or None where there is none.

    A blend without an encoder is a baseline too.
    """
    scores = run.ensembles(task)
    known = scores["model"].isin((*BASELINES, *BLENDS)) & scores["r2"].notna()
    chosen = scores[(scores["context"] == context) & known]
    return None if chosen.empty else _row(chosen, int(chosen["r2"].argmax()))


def adds_to_calendar(run: RunFolder, task: str) -> str:
    """Whether models that see the spectrum, and no recent laboratory value, have skill over the calendar."""
    scores = run.ensembles(task)
    seeing = scores[~scores["model"].isin(REFERENCES) & (scores["context"] != "season+lab")]
    seeing = seeing[seeing["skill_climatology"].notna()]
    if seeing.empty:
        return "No model that sees the spectrum was scored here, so this run says nothing of what it adds."
    better = int((seeing["skill_climatology_low"] > 0).sum())
    worse = int((seeing["skill_climatology_high"] < 0).sum())
    best = _row(seeing, int(seeing["skill_climatology"].argmax()))
    models = f"{len(seeing)} model{'s' if len(seeing) > 1 else ''}"
    text = (
        f"of {models} that see it, and no recent laboratory value, {_have(better)} a skill against the "
        "climatology whose 95 % interval lies above zero"
    )
    shown = better
    if gained := gains_over_calendar(run, task):
        own = [gained.get(key) for key in zip(seeing["model"], seeing["context"], strict=True)]
        shown = sum(claim is not None and claim.corrected_low > 0 for claim in own)
        text += f"; corrected for all rows of the table, {_have(shown)} an R2 above the climatology's"
    lead = "The spectrum" if shown else "This run does not show that the spectrum"
    return (
        f"{lead} adds to the calendar: {text}. The highest skill is {estimate(best, 'skill_climatology')}, "
        f"by {with_context(best)}. {worse} of them {'is' if worse == 1 else 'are'} worse than the calendar."
    )


def _have(count: int) -> str:
    """How many models have what follows.

    Examples
    --------
    >>> _have(0), _have(1), _have(3)
    ('none has', '1 has', '3 have')
    """
    return f"{count or 'none'} {'has' if count < 2 else 'have'}"


def versus_baselines(run: RunFolder, task: str, models: Sequence[str] = PAIRED) -> list[str]:
    """Models beside the best baseline of each context, by their paired difference."""
    lines = []
    scores = run.ensembles(task)
    chosen = pd.concat([scores[scores["model"] == model] for model in models])
    for row in chosen.to_dict("records"):
        model, context = str(row["model"]), str(row["context"])
        text = f"{with_context(row)}: R2 {estimate(row, 'r2')}"
        baseline = best_baseline(run, task, context)
        pair = None if baseline is None else find_pair(run, task, context, model, str(baseline["model"]))
        if pair is not None and baseline is not None:
            gap = bracketed(pair["r2_difference"], pair["low"], pair["high"])
            text += (
                f". The best baseline given the same is {baseline['model']}, and the difference in R2 is "
                f"{gap}: {reading(pair['low'], pair['high'])}"
            )
            if math.isfinite(pair["detectable"]):
                text += f" ({number(pair['detectable'])} is the least that would be found four times in five)"
        lines.append(text + ".")
    return lines


def find_pair(run: RunFolder, task: str, context: str, model: str, against: str) -> Row | None:
    """The paired difference of two models, leave-date-out, or None where it was not taken."""
    pairs = run.pairs
    found = pairs[
        (pairs["task"] == task)
        & (pairs["split"] == HEADLINE)
        & (pairs["context"] == context)
        & (pairs["model"] == model)
        & (pairs["against"] == against)
    ].reset_index(drop=True)
    return None if found.empty else _row(found, 0)


def smallest_visible(run: RunFolder, task: str) -> str:
    """How large a difference in R2 must be to be seen: half the width of the paired intervals."""
    pairs = run.pairs[(run.pairs["task"] == task) & run.pairs[["low", "high"]].notna().all(axis=1)]
    if pairs.empty:
        return "no pairs of models were compared, so the least difference to be seen is unknown"
    half = ((pairs["high"] - pairs["low"]) / 2).to_numpy(dtype=np.float64)
    low, middle, high = (number(float(q)) for q in np.quantile(half, [0.0, 0.5, 1.0]))
    return (
        f"a difference in R2 between two models had to exceed about {middle} to be seen (half the width of "
        f"its 95 % interval: the median over {len(pairs)} pairs, which range from {low} to {high})"
    )


def reconstruction_verdicts(run: RunFolder) -> list[str]:
    """For each guard, whether SpecTM fills in hidden bands as well as ridge regression."""
    table = run.reconstruction
    chosen = table[(table["method"] == "spectm") & (table["window"] == "all")]
    return [f"guard {row['guard_nm']:g} nm: {_as_good_as_ridge(row)}" for row in chosen.to_dict("records")]


def _as_good_as_ridge(row: Row) -> str:
    low, high = row["rmse_ratio_low"], row["rmse_ratio_high"]
    ratio = f"its error is {estimate(row, 'rmse_ratio')} times that of ridge"
    if low > 1:
        return f"spectm is not as good as ridge; {ratio}"
    if high < 1:
        return f"spectm is better than ridge; {ratio}"
    return f"spectm and ridge can't be told apart; {ratio}"


def caveats(run: RunFolder) -> list[str]:
    """Limits that every reader should know, with the sizes of this run."""
    rows = [sample_rows(run, task) for task in run.tasks]
    years = sorted({day[:4] for of_task in rows for day in days(of_task)})
    stations = len({station for of_task in rows for station in of_task["station"]})
    season = f"one season ({years[0]})" if len(years) == 1 else f"{len(years)} years ({', '.join(years)})"
    return [
        "It informs and never decides: no beach should be closed, and no water called safe, because of it.",
        "The target is particulate microcystin in raw surface water. It is neither dissolved toxin nor "
        "drinking water after treatment, and a satellite sees pigments, not toxin.",
        f"All of it comes from the same {stations} stations and {season}: another lake or another year may "
        "differ.",
        f"The sample is small: at most {max(map(len, rows))} laboratory values, and those of one day are "
        "alike. Differences inside the intervals mean little.",
    ]


def _row(table: pd.DataFrame, position: int) -> Row:
    return table.iloc[position].to_dict()
