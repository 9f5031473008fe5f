"""Files as the catalogue describes them."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spectm.data.catalog.holdings import Product

__all__ = ["Found", "Total", "file_of_record", "newest", "scene", "totals"]

# PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.NRT.nc, PACE_OCI.20240609_20240616.L3m.8D.RRS.V3_1.Rrs.4km.nc and,
# since version 3.2, PACE_OCI.20250701.L3m.DAY.AOP.V3_2.4km.nc
_NAME = re.compile(
    r"PACE_OCI\.(?P<stamp>[0-9T_]+)\.(?P<level>L2|L3m)\.(?:(?P<period>\w+)\.)?(?P<suite>\w+)"
    r"\.V(?P<version>\d+(?:_\d+)*)(?P<tail>(?:\.\w+)*)\.nc"
)
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file of the catalogue.

    Parameters
    ----------
    name : str
        Name of the file.
    url : str
        Where the archive keeps it, https.
    product, short_name : str
        Name here and in the catalogue.
    version : str
        Processing version, such as "3.1".
    near_real_time : bool
        False for the final file.
    start : str
        First moment covered, ISO 8601, UTC; "" where the catalogue has none.
    size_bytes : int or None
        Exact size; None where the catalogue gives only a rounded one, or none.
    about_bytes : int
        For adding up: the exact size, or else the rounded one; 0 where unknown.
    checksum_algorithm, checksum : str or None
        The archive's own, such as "MD5" and hexadecimal digits; None where the catalogue has none.
    cloud_percent : float or None
        Cloud cover of the whole granule by its metadata; None where they say nothing.
    """

    name: str
    url: str
    product: str
    short_name: str
    version: str
    near_real_time: bool
    start: str = ""
    size_bytes: int | None = None
    about_bytes: int = 0
    checksum_algorithm: str | None = None
    checksum: str | None = None
    cloud_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Files of one product and version: how many, how large; `unknown` of them are without a size."""

    product: str
    version: str
    near_real_time: bool
    files: int
    about_bytes: int
    unknown: int


def scene(name: str) -> str:
    """What a file shows: the same for all versions of it, and for its near-real-time and final twins.

    Examples
    --------
    >>> scene("PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.NRT.nc")
    '20240804T175305.L2.AOP'
    >>> scene("PACE_OCI.20240609_20240616.L3m.8D.RRS.V3_1.Rrs.4km.nc")
    '20240609_20240616.L3m.8D.AOP.4km'
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    suite = {"RRS": "AOP", "OC_AOP": "AOP"}.get(found["suite"], found["suite"])  # renamed by version 3.2
    resolution = [word for word in found["tail"].split(".") if re.fullmatch(r"\d\w*(km|deg)", word)]
    words = (found["stamp"], found["level"], found["period"], suite, *resolution)
    return ".".join(word for word in words if word)


def file_of_record(granule: Mapping[str, Any], product: Product, short_name: str) -> Found | None:
    """File that a record of the catalogue (UMM-G) describes; None if it is not one of this product."""
    umm = granule["umm"]
    links = (link["URL"] for link in umm.get("RelatedUrls", ()) if link.get("Type") == "GET DATA")
    url = next((link for link in links if link.startswith("https://") and link.endswith(".nc")), None)
    if url is None:
        return None
    name = url.rpartition("/")[2]
    parsed = _NAME.fullmatch(name)  # also keeps anything but a plain file name out of the folder
    if parsed is None or (product.pattern is not None and not fnmatch.fnmatchcase(name, product.pattern)):
        return None
    archived = _archived(umm, name)
    checksum, size = archived.get("Checksum", {}), archived.get("SizeInBytes")
    rounded = float(archived.get("Size") or 0) * _UNITS.get(str(archived.get("SizeUnit")), 0)
    period = umm.get("TemporalExtent", {})
    start = period.get("RangeDateTime", {}).get("BeginningDateTime") or period.get("SingleDateTime")
    return Found(
        name=name,
        url=url,
        product=product.name,
        short_name=short_name,
        version=parsed["version"].replace("_", "."),
        near_real_time=".NRT." in name,
        start=start or "",
        size_bytes=None if size is None else int(size),
        about_bytes=round(rounded) if size is None else int(size),
        checksum_algorithm=checksum.get("Algorithm"),
        checksum=checksum.get("Value"),
        cloud_percent=umm.get("CloudCover"),
    )


def newest(found: Iterable[Found]) -> list[Found]:
    """The newest version of each scene, by time and name."""
    best: dict[str, Found] = {}
    for file in found:
        other = best.get(scene(file.name))
        if other is None or _order(file) > _order(other):
            best[scene(file.name)] = file
    return sorted(best.values(), key=lambda file: (file.start, file.name))


def totals(found: Iterable[Found]) -> list[Total]:
    """Count and size of files, for each product and version."""
    groups: dict[tuple[str, str, bool], list[Found]] = {}
    for file in found:
        groups.setdefault((file.product, file.version, file.near_real_time), []).append(file)
    return [
        Total(
            product=product,
            version=version,
            near_real_time=near_real_time,
            files=len(files),
            about_bytes=sum(file.about_bytes for file in files),
            unknown=sum(not file.about_bytes for file in files),
        )
        for (product, version, near_real_time), files in sorted(groups.items())
    ]


def _archived(umm: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Size and checksum of the file; a granule may list others, such as its metadata."""
    listed = umm.get("DataGranule", {}).get("ArchiveAndDistributionInformation", ())
    named = [one for one in listed if one.get("Name") == name]
    return next(iter(named), listed[0] if len(listed) == 1 else {})


def _order(file: Found) -> tuple[int, ...]:
    """Version as numbers: 3.10 comes after 3.2."""
    return tuple(int(part) for part in file.version.split("."))
