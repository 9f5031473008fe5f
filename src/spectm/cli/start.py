"""`spectm finetune --start`: a trained model, patches and a laboratory record of another lake in."""

import argparse
import sys

from spectm.cli.labelled import target_record, with_rows
from spectm.cli.options import keep_settings, read_sources
from spectm.data.labels import Labels, read_labels
from spectm.data.matchups import TASKS
from spectm.data.origin import SIMULATED, is_simulated
from spectm.data.patches import Patches
from spectm.errors import PatchError
from spectm.evaluation.task import Task, build_task
from spectm.evaluation.tuned import calibrate_tuned
from spectm.training.checkpoint import check_bands, read_checkpoint
from spectm.training.forecaster import Forecaster
from spectm.training.released import KIND, forecaster_of, model_folder, save_forecaster
from spectm.training.tuned import tuned_forecaster

__all__ = ["finetune_start"]


def finetune_start(args: argparse.Namespace) -> int:
    """Move a model to own samples, write it, and say how much of what they teach is used."""
    checkpoint = read_checkpoint(model_folder(args.start), kind=KIND)
    start = forecaster_of(checkpoint)
    (patches,), files = read_sources([args.patches])
    check_bands(start.meta, patches.wavelength, where=patches.source)
    labels = read_labels(args.labels)
    tasks = _tasks(start, patches, labels)
    task = with_rows(args, tasks["current"])
    print(f"{len(task.rows)} rows, {int(task.below.sum())} below detection; {labels.summary()}")
    provenance = {
        "files": files,
        "labels": args.labels.name,
        "start": {
            "name": model_folder(args.start).name,
            "weights": checkpoint.meta["files"]["weights"],
            "provenance": start.meta.get("provenance", {}),
        },
        SIMULATED: patches.simulated or is_simulated(start.meta.get("provenance", {})),
        **target_record(task),
    }
    tuned = tuned_forecaster(start, patches, task.rows, task.y, provenance)
    tuned = calibrate_tuned(tuned, start, patches, tasks)
    keep_settings(start.settings, args.out)
    save_forecaster(tuned, args.out)
    shares = tuned.meta["provenance"]["shares"]
    share = sum(shares) / len(shares)
    if len({date[:4] for date in task.rows["date"]}) == 1:
        print(
            "note: all samples are of one year; in another one such a model may be worse than its start "
            "(docs/own-lake.md)",
            file=sys.stderr,
        )
    print(f"{100 * share:.0f} % of what the samples teach is used, 0 % would be {args.start} unchanged")
    print(f"wrote {args.out}")
    return 0


def _tasks(start: Forecaster, patches: Patches, labels: Labels) -> dict[str, Task]:
    """Rows of now, and of eight days ahead where any pair; the climatology is the start's."""
    found = {}
    for name in TASKS:
        try:
            found[name] = build_task(name, patches, labels, climatology=start.record.climatology)
        except PatchError:
            if name == "current":
                raise
    return {name: task for name, task in found.items() if name == "current" or len(task.rows)}
