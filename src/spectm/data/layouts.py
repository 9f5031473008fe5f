"""How laboratory files name their columns: three layouts of GLERL, and a plain one for everybody else."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EASTERN = "America/New_York"

#: Units of the numbers in the tidy table, by column. The layouts below are recognised by headers that state
#: these units wherever they state any, so nothing is converted.
UNITS: dict[str, str] = {
    "depth_m": "m",
    "latitude": "degrees_north",
    "longitude": "degrees_east",
    "microcystin": "ug L-1",
    "chlorophyll": "ug L-1",
    "phycocyanin": "ug L-1",
    "turbidity": "NTU",
    "cdom": "m-1",  # absorption at 400 nm
    "suspended_solids": "mg L-1",
    "dissolved_microcystin": "ug L-1",
}

#: Columns that hold measured quantities, each with a `<quantity>_below_detection` beside it.
QUANTITIES = (
    "microcystin",
    "chlorophyll",
    "phycocyanin",
    "turbidity",
    "cdom",
    "suspended_solids",
    "dissolved_microcystin",
)

# What a bare "bdl" stands for in GLERL files. Both toxins: "<0.1" is the only limit the record states, and
# the protocol fixes it. Phycocyanin: "<0.03" is the smallest of nine limits stated, "<40" the largest.
# Nothing else is ever "bdl" there, so nothing else has a limit.
GLERL_LIMITS = {"microcystin": 0.1, "dissolved_microcystin": 0.1, "phycocyanin": 0.03}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way of laying out a laboratory file.

    Attributes
    ----------
    name : str
        Shown in messages.
    required, optional : mapping of str to str
        Column of the tidy table -> header of the file, as `plain_header` writes it.
    timezone : str or None
        IANA name of the clock that dates and times are written in; None where the file states it.
    limits : mapping of str to float
        Quantity -> what "below detection" means where the file states no number.
    """

    name: str
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def missing(self, header: Sequence[str]) -> list[str]:
        """Return the required names that `header` lacks."""
        return [name for name in self.required.values() if name not in header]

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Return the position of each known column in `header`."""
        known = {**self.required, **self.optional}
        return {column: header.index(name) for column, name in known.items() if name in header}


def plain_header(names: Sequence[str]) -> list[str]:
    """Header names with blanks around them removed and the two micro signs of Unicode made one.

    Parameters
    ----------
    names : sequence of str
        The first line of a file.

    Returns
    -------
    list of str
        The same names, comparable with those of a `Layout`.

    Examples
    --------
    >>> plain_header([" Site", "Extracted Chlorophyll a (\u00b5g/L) "])
    ['Site', 'Extracted Chlorophyll a (ug/L)']
    """
    return [unicodedata.normalize("NFKC", name).strip().replace("\u03bc", "u") for name in names]


GLERL_LONG = Layout(
    name="GLERL 2012-2019",
    required={
        "station": "Site",
        "date": "Date",
        "time": "Local Time (Eastern Time Zone)",
        "category": "Sample Depth (category)",
        "depth_m": "Sample Depth (m)",
        "latitude": "Latitude (decimal deg)",
        "longitude": "Longitude (decimal deg)",
        "microcystin": "Particulate Microcystin (ug/L)",
        "chlorophyll": "Extracted Chlorophyll a (ug/L)",
        "phycocyanin": "Extracted Phycocyanin (ug/L)",
        "turbidity": "Turbidity (NTU)",
        "cdom": "Colored Dissolved Organic Material absorbance (m-1) at 400nm",
        "suspended_solids": "Total Suspended Solids (mg/L)",
        "dissolved_microcystin": "Dissolved Microcystin (ug/L)",
    },
    timezone=EASTERN,
    limits=GLERL_LIMITS,
)

# No units in these headers: those of the files before and after it, checked by the ranges of the values.
GLERL_LOWER = Layout(
    name="GLERL 2020-2022",
    required={
        "station": "station_name",
        "date": "date",
        "time": "time",
        "category": "sample_depth_category",
        "depth_m": "sample_depth_m",
        "latitude": "lat",
        "longitude": "lon",
        "microcystin": "particulate_microcystin",
        "chlorophyll": "extracted_chla",
        "phycocyanin": "extracted_phycocyanin",
        "turbidity": "turbidity",
        "cdom": "cdom",
        "suspended_solids": "tss",
        "dissolved_microcystin": "dissolved_microcystin",
    },
    timezone=EASTERN,
    limits=GLERL_LIMITS,
)

GLERL_2024 = Layout(
    name="GLERL 2024",
    required={
        "station": "Site",
        "date": "Date",
        "time": "Arrival_Time",
        "category": "Sample_Depth_category",
        "depth_m": "Sample_Depth_m",
        "latitude": "Lat_deg",
        "longitude": "Long_deg",
        "microcystin": "Particulate_Microcystin_ugL-1",
        "chlorophyll": "Extracted_CHLa_ugL-1",
        "phycocyanin": "Extracted_PC_ugL-1",
        "turbidity": "Turbidity_NTU",
        "dissolved_microcystin": "Dissolved_Microcystin_ugL-1",
    },
    timezone=EASTERN,
    limits=GLERL_LIMITS,
)

# Required is what no sample can do without; that it also needs a moment, told in two ways, is checked apart.
PLAIN = Layout(
    name="plain",
    required={"station": "station", "microcystin": "microcystin"},
    optional={
        name: name
        for name in (
            *("time", "date", "timezone", "category", "depth_m", "latitude", "longitude"),
            *(quantity for quantity in QUANTITIES if quantity != "microcystin"),
        )
    },
)

LAYOUTS = (GLERL_LONG, GLERL_LOWER, GLERL_2024, PLAIN)
