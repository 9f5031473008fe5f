"""The bulletin as one page that holds everything in itself: no script, no other host, for phone and paper."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

import spectm
from spectm.apps.bulletin import at_stations, week
from spectm.apps.bulletin.at_stations import StationWeeks
from spectm.apps.bulletin.lookback import look_back
from spectm.apps.bulletin.week import Week, week_of
from spectm.apps.bulletin.words import amount, area
from spectm.apps.columns import USUAL_THRESHOLD
from spectm.apps.export.provenance import INFORMS, made_up, provenance
from spectm.apps.figures import draw_series
from spectm.apps.maps import Scene, draw_map, map_title
from spectm.apps.moment import LATEST, Moment, days_in_words
from spectm.apps.places import Station
from spectm.apps.shores import Outline
from spectm.apps.store import Store
from spectm.evaluation.figures import Picture, to_picture
from spectm.evaluation.report import typeset
from spectm.files import write_text
from spectm.trust.thresholds import CAVEAT, MEDIA, Profile

__all__ = ["write_bulletin"]

WIDTH_IN = 4.6  # nearly that of a phone, so that letters keep their size there
N_PERIODS = 12
FACTS = {
    "model": "Model",
    "model_weights_sha256": "Its weights (SHA-256)",
    "data": "Data",
    "data_source": "Source of the data",
    "spectm_version": "Predicted by spectm",
    "predicted": "Predicted (UTC)",
    "thresholds": "Thresholds",
}


def write_bulletin(
    store: Store,
    out: Path,
    *,
    stations: Sequence[Station],
    samples: pd.DataFrame | None = None,
    profiles: Sequence[Profile] = (),
    outlines: Sequence[Outline] = (),
    wanted: str = LATEST,
) -> Week:
    """Write the page of a week.

    Parameters
    ----------
    store : Store
    out : Path
        HTML file; an older one is replaced at once.
    stations : sequence of Station
        Those beyond the maps are named and left out.
    samples : DataFrame, optional
        Of `spectm.apps.places.samples_at`.
    profiles : sequence of Profile
        Thresholds.
    outlines : sequence of ndarray
        Shore.
    wanted : str
        Any day of the period, or "latest".

    Returns
    -------
    Week
        What the page is about.

    Raises
    ------
    StoreError
        If there is no such period, or stations are given and none lies on the maps.
    """
    chosen = week_of(store, wanted)
    source = resources.files("spectm.apps").joinpath("templates/bulletin.html.j2")
    # Names of stations, models, files and profiles come from files: all of it is escaped.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    contents = _contents(chosen, stations, samples, profiles, outlines)
    write_text(Path(out), environment.from_string(source.read_text(encoding="utf-8")).render(contents))
    return chosen


def _contents(
    chosen: Week,
    stations: Sequence[Station],
    samples: pd.DataFrame | None,
    profiles: Sequence[Profile],
    outlines: Sequence[Outline],
) -> dict[str, Any]:
    """Everything that the template names."""
    kept = at_stations.inside(chosen, stations)
    found = at_stations.weeks_at(chosen, kept)
    scene = Scene(outlines=outlines, stations=kept, samples=samples)
    facts = provenance(chosen.store)
    return {
        "simulated": made_up(chosen.store),
        "region": _region(chosen.now),
        "period": days_in_words(chosen.now.period),
        "ahead": days_in_words(chosen.ahead.target),
        "summary": [*week.changes(chosen, profiles), *at_stations.stations_in_words(chosen, found)],
        "coverage": week.coverage(chosen),
        "maps": _maps(chosen, scene, profiles),
        "tables": [week.area_table(chosen, profiles)]
        + ([week.likely_table(chosen, profiles)] if profiles else []),
        "stations": at_stations.station_table(chosen, found) if found else None,
        "outside": at_stations.outside(chosen, stations),
        "exceedance": [at_stations.exceedance_table(chosen, found, one) for one in profiles] if found else [],
        "charts": [_chart(chosen, one, samples, profiles) for one in found],
        "history": at_stations.history_table(chosen, found, samples, N_PERIODS) if found else None,
        "lookback": look_back(chosen, found, samples),
        "profiles": profiles,
        "media": MEDIA,
        "caveat": CAVEAT,
        "informs": INFORMS,
        "facts": [(title, facts[name]) for name, title in FACTS.items() if facts[name]],
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": spectm.__version__,
    }


def _region(moment: Moment) -> str:
    """Where the maps lie."""
    grid = moment.grid
    east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
    return f"{_range(south, grid.north, 'N', 'S')}, {_range(grid.west, east, 'E', 'W')}"


def _range(low: float, high: float, positive: str, negative: str) -> str:
    """Degrees from low to high, with the letter of a half of the globe."""
    if high <= 0:
        return f"{-high:.2f} to {-low:.2f}° {negative}"
    return f"{low:.2f} to {high:.2f}° {positive}"


def _maps(chosen: Week, scene: Scene, profiles: Sequence[Profile]) -> list[Picture]:
    """The estimate, its doubt, exceedance, and the forecast."""
    values = [one.value for each in profiles for one in each.thresholds]
    # where no profile has it, the nearest one
    threshold = min(values, key=lambda value: abs(np.log(value / USUAL_THRESHOLD)), default=USUAL_THRESHOLD)
    shown = (
        (chosen.now, "estimate"),
        (chosen.ahead, "estimate"),
        (chosen.now, "exceedance"),
        (chosen.now, "interval"),
    )
    return [_map(chosen, moment, what, scene, threshold) for moment, what in shown]


def _map(chosen: Week, moment: Moment, what: str, scene: Scene, threshold: float) -> Picture:
    canvas = draw_map(moment, what, scene, threshold=threshold, width=WIDTH_IN)
    title = map_title(moment, what, threshold)
    captions = {
        "estimate": "The true value is as likely to lie above it as below.",
        "exceedance": f"How likely it is that the water holds more than {threshold:g} ug/L.",
        "interval": "How far apart the ends of the interval are that holds the true value nine times in ten: "
        "10 means that the upper end is ten times the lower.",
    }
    origin = "Simulated. " if moment.store.simulated else ""
    alt = f"{origin}Map, {title}. {_said(chosen, moment, what, threshold)} The tables below give numbers."
    return to_picture(canvas, typeset(alt), typeset(f"{origin}{title}. {captions[what]}"))


def _said(chosen: Week, moment: Moment, what: str, threshold: float) -> str:
    """What a map shows, for who can't see it."""
    if not moment.seen.any():
        return "Nothing was seen."
    if what == "exceedance":
        likely = np.nan_to_num(moment.exceedance(threshold)) >= week.EVEN
        return f"At least as likely as not in {area(float((likely * moment.cell_km2).sum()))}."
    values = moment.microcystin
    if what == "interval":
        low, high = moment.estimate.interval(0.9)
        return f"The middle factor is {np.nanmedian(high / low):.2g}."
    ends = [amount(float(one), chosen.least) for one in np.nanpercentile(values, [5, 50, 95])]
    return f"Middle value {ends[1]} ug/L; nine tenths of the cells lie from {ends[0]} to {ends[2]} ug/L."


def _chart(
    chosen: Week, one: StationWeeks, samples: pd.DataFrame | None, profiles: Sequence[Profile]
) -> Picture:
    thresholds = [threshold for profile in profiles for threshold in profile.thresholds]
    canvas = draw_series(
        chosen.store,
        one.station,
        samples=samples,
        thresholds=thresholds,
        width=WIDTH_IN,
        legend=False,
        n_periods=N_PERIODS,
        until=chosen.now.period.end,
    )
    n = int(one.now["microcystin"].notna().tail(N_PERIODS).sum())
    origin = "Simulated. " if chosen.store.simulated else ""
    alt = (
        f"{origin}Chart of {one.station.name}: {n} estimates over {min(len(one.now), N_PERIODS)} periods, "
        "with intervals, forecast and laboratory values. The table below the charts gives the numbers."
    )
    return to_picture(canvas, alt, f"{origin}{one.station.name}. Dashed lines: thresholds, ug/L.")
