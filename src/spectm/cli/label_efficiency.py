"""`spectm label-efficiency`: patches and a laboratory record in; R2 by number of labels out."""

import argparse
from typing import Any

from spectm.cli.options import keep_settings
from spectm.cli.studies import add_study, note_of, publish, read_study, record_of, section_of
from spectm.files import write_text

__all__ = ["add_arguments", "run"]

QUICK_SEEDS, QUICK_DRAWS = 2, 4
QUICK_MODELS = ("spectm-blend", "ridge", "blend-plain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Train SpecTM and baselines on 10 laboratory values, 20, 40, ... and all, drawn many times by whole "
        "dates and by single rows, and test them leave-date-out. Writes curves.csv, equal_labels.csv, "
        "label_efficiency.md and label_efficiency.png. It takes hours; after Ctrl-C, the command goes on."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm label-efficiency --patches patches.nc --unlabelled pixels.nc --labels glerl/ "
        "--out runs/labels\n"
        "  spectm label-efficiency --patches patches.nc --labels labels.csv --out runs/quick --quick"
    )
    add_study(parser, quick="two seeds, four draws, three models, short pretraining: to see that it works")
    parser.add_argument("--draws", type=int, metavar="N", help="choices of labels of each size (default: 20)")
    parser.add_argument("--models", metavar="NAME,...", help="only these models")


def run(args: argparse.Namespace) -> int:
    """Draw, train and test, print the page, and name what was written."""
    from spectm.evaluation.label_efficiency import LabelConfig, label_efficiency
    from spectm.evaluation.study_figures import draw_curves
    from spectm.evaluation.study_pages import efficiency_page

    quick = {"seeds": QUICK_SEEDS, "draws": QUICK_DRAWS, "models": QUICK_MODELS}
    asked: dict[str, Any] = quick if args.quick else {}
    asked |= {name: value for name in ("seeds", "draws") if (value := getattr(args, name)) is not None}
    if args.models:
        asked["models"] = tuple(name.strip() for name in args.models.split(","))
    config = LabelConfig(**asked, workers=args.workers)
    settings, data = read_study(args)
    given = (data.patches, data.labels, data.unlabelled, settings, config, args.out)
    curves, equal = label_efficiency(*given, identity=data.provenance)
    keep_settings(settings, args.out)
    record = record_of(args, data)
    page = efficiency_page(curves, equal, record)
    write_text(args.out / "label_efficiency.md", page)
    draw_curves(curves, args.out / "label_efficiency.png", note=note_of(record))
    names = ("curves.csv", "equal_labels.csv", "label_efficiency.png", "label_efficiency.md")
    section = section_of("label-efficiency", data)
    publish(page, section, [args.out / name for name in names], args.results)
    return 0
