"""What is compared, and on what: settings of a comparison, tasks, references."""

from collections.abc import Sequence
from dataclasses import dataclass

from spectm.data.context import CONTEXTS, Context
from spectm.data.labels import Labels, surface_samples
from spectm.data.matchups import TASKS
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.errors import ConfigError
from spectm.evaluation.audit import audit_own_last_value
from spectm.evaluation.baselines import BASELINES
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.models import VARIANTS
from spectm.evaluation.sureness import CALIBRATED
from spectm.evaluation.task import Task, build_task
from spectm.training.settings import Settings

__all__ = [
    "HEADLINE",
    "MODELS",
    "SPLITS",
    "STRICT",
    "EvaluationConfig",
    "Study",
    "earlier_years",
    "headline_study",
    "is_blend",
    "prepared",
]

HEADLINE = "leave-date-out"
STRICT = "leave-date-out-strict"
SPLITS = (HEADLINE, STRICT, "random-5", "leave-station-out", "forward")
MODELS = (*BASELINES, *BLENDS, *VARIANTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """What is compared.

    Parameters
    ----------
    tasks, splits, models, contexts : tuple of str
        Which of `TASKS`, `SPLITS`, `MODELS` and `CONTEXTS`.
    seeds, ablation_seeds : int
        Seeds 0, 1, ... of ``spectm`` and ``spectm-probe``, and of the models that differ from them in one
        thing, which run leave-date-out without context. ``leave-date-out-strict`` and ``random-5`` are there
        for comparison: in them SpecTM runs with the first seed, and fine-tuning in ``random-5`` only without
        context.
    guards_nm : tuple of float
        Guards beside the windows for which the reconstruction of hidden bands is scored, nm.
    shuffles : int
        Shuffles of ``random-5``.
    intervals : tuple of str
        Which of these models get calibrated intervals: leave-date-out, with the season.
    flag_sets : int
        Sets of dates that an encoder is pretrained without, to see what of them is flagged; 0 for none.
    workers : int
        Processes; each computes on one thread.
    """

    tasks: tuple[str, ...] = TASKS
    splits: tuple[str, ...] = SPLITS
    models: tuple[str, ...] = MODELS
    contexts: tuple[Context, ...] = CONTEXTS
    seeds: int = 10
    ablation_seeds: int = 1
    shuffles: int = 10
    guards_nm: tuple[float, ...] = (0.0, 5.0)
    intervals: tuple[str, ...] = CALIBRATED
    flag_sets: int = 5
    workers: int = 2

    def __post_init__(self) -> None:
        known = {"tasks": TASKS, "splits": SPLITS, "models": MODELS, "contexts": CONTEXTS}
        known["intervals"] = CALIBRATED
        for name, choices in known.items():
            unknown = [value for value in getattr(self, name) if value not in choices]
            if unknown:
                raise ConfigError(f"evaluation.{name}: {unknown[0]!r} is not one of {', '.join(choices)}")
        if min(self.seeds, self.ablation_seeds, self.shuffles, self.workers) < 1:
            raise ConfigError("evaluation wants seeds, ablation_seeds, shuffles and workers of at least 1")
        if self.flag_sets < 0 or self.flag_sets == 1:
            raise ConfigError(
                f"evaluation.flag_sets: wanted 0 for none, or 2 or more; found {self.flag_sets}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What every job is given: as `prepared` makes it.

    Parameters
    ----------
    tasks : dict of Task
        By name.
    patches, unlabelled, settings, config
        As `spectm.evaluation.protocol.run_protocol` takes them.
    current : Task
        What blends learn from, also where it is not asked for.
    record : Record or None
        The laboratory's earlier years; None where no model wants them.
    simulated : tuple of Patches
        Spectra of a simulated lake, for variants that learn from them; nothing of them is tested.
    """

    tasks: dict[str, Task]
    patches: Patches
    unlabelled: tuple[Patches, ...]
    settings: Settings
    config: EvaluationConfig
    current: Task
    record: Record | None
    simulated: tuple[Patches, ...] = ()


def prepared(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: EvaluationConfig,
) -> Study:
    """Tasks and references of a comparison; arguments as of `spectm.evaluation.protocol.run_protocol`.

    Raises
    ------
    LeakageError
        If a target is its own last laboratory value.
    """
    tasks = {name: build_task(name, patches, labels) for name in config.tasks}
    for task in tasks.values():
        audit_own_last_value(task)
    blended = any(is_blend(name) for name in config.models)
    current = tasks.get("current") or build_task("current", patches, labels)
    record = earlier_years(patches, labels) if blended else None
    return Study(tasks, patches, tuple(unlabelled), settings, config, current, record)


def headline_study(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    tasks: tuple[str, ...],
) -> Study:
    """Tasks and references of leave-date-out alone, for any model; see `prepared`."""
    config = EvaluationConfig(tasks=tasks, splits=(HEADLINE,))
    return prepared(patches, labels, unlabelled, settings, config)


def is_blend(name: str) -> bool:
    """Whether a model learns departures from the climatology, and carries them."""
    return name in BLENDS or (name in VARIANTS and VARIANTS[name].head == "blend")


def earlier_years(patches: Patches, labels: Labels) -> Record:
    """What the laboratory found in the years before the first patch."""
    return Record.fit(surface_samples(labels), last_year=patches.year_before)
