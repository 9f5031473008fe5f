"""``run.json`` of a prediction store: where predictions come from, whole enough to make them again."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spectm
from spectm.apps.columns import ABOUT
from spectm.apps.store_writer import FORMAT, FORMAT_VERSION
from spectm.data.context import DETECTION_LIMIT
from spectm.files import write_json
from spectm.trust.calibration import Calibration
from spectm.trust.estimate import LEVELS
from spectm.trust.thresholds import CAVEAT, Profile

__all__ = ["RECORD", "Origin", "map_attributes", "new_record", "write_record"]

RECORD = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What predictions are made from.

    Parameters
    ----------
    model : dict
        ``name``, ``folder`` (as ``cube``; empty where it ships), ``weights_sha256``, ``card``, ``written``,
        ``simulated`` and ``provenance``.
    data : dict
        ``cube`` (path, relative to the store where possible), ``title``, ``source``, ``simulated``,
        ``layout`` and ``layout_sha256``; where bands were resampled, ``resampling``.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def simulated(self) -> bool:
        """Whether the model or the cube was simulated."""
        return bool(self.model["simulated"] or self.data["simulated"])


def new_record(
    origin: Origin,
    calibration: Mapping[str, Calibration],
    profiles: Sequence[Profile],
    settings: Mapping[str, Any],
    *,
    maps: bool,
) -> dict[str, Any]:
    """Record of a run that has not done anything yet.

    Parameters
    ----------
    origin : Origin
        Model and cube.
    calibration : mapping of str to Calibration
        Of the model, by task.
    profiles : sequence of Profile
        Kept whole.
    settings : mapping
        ``size``, ``horizons``, ``thresholds`` and ``resampled``.
    maps : bool
        Whether there are maps.
    """
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "spectm_version": spectm.__version__,
        "python": platform.python_version(),
        "written": "",
        "simulated": origin.simulated,
        "about": ABOUT,
        "caveat": CAVEAT,
        "model": dict(origin.model),
        "data": dict(origin.data),
        "settings": {**settings, "levels": list(LEVELS), "detection_limit": DETECTION_LIMIT},
        "profiles": [asdict(one) for one in profiles],
        "calibration": {task: one.to_dict() for task, one in calibration.items()},
        "maps": maps,
        "periods": {},
        "points": None,
    }
    return json.loads(json.dumps(record))


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write or replace ``run.json``, with the time."""
    record["written"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / RECORD, record)


def map_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the maps: what a program that opens them alone should know."""
    model, data = record["model"], record["data"]
    made_up = "simulated " if record["simulated"] else ""
    return {
        "title": f"Estimates of {made_up}microcystin, now and days ahead",
        "source": f"{model['name']} (weights {model['weights_sha256'][:16]}) on {data['title']}",
        "history": f"made by spectm {record['spectm_version']}",
        "comment": record["about"],
        "caveat": record["caveat"],
        "simulated": int(record["simulated"]),
        "model": model["name"],
        "model_weights_sha256": model["weights_sha256"],
        "model_card": model["card"],
        "calibration": json.dumps(record["calibration"]),
        "spectm_version": record["spectm_version"],
    }
