"""NASA's catalogue: which PACE OCI files there are for a region and a period, and how large they are."""

import time
from collections.abc import Callable, Collection
from datetime import date
from functools import partial
from typing import Any

from spectm.data.catalog.cmr import granules
from spectm.data.catalog.holdings import PRODUCTS, Product, named_product
from spectm.data.catalog.records import Found, Total, file_of_record, newest, scene, totals
from spectm.data.regions import Region
from spectm.errors import FetchError

__all__ = ["PRODUCTS", "Found", "Product", "Total", "named_product", "scene", "search", "totals"]

FIRST_DATA = date(2024, 3, 5)


def search(
    product: str,
    region: Region,
    start: date,
    end: date,
    *,
    cloud_max: float | None = None,
    version: str | None = None,
    at_hand: Collection[str] = (),
    sleep: Callable[[float], object] = time.sleep,
) -> list[Found]:
    """Files of a product that touch a region between two dates.

    Parameters
    ----------
    product : str
        A name of `PRODUCTS`.
    region : Region
        Where; it may lie across the date line. Level-3 files hold the whole globe, so all of them touch it.
    start, end : date
        First and last day, UTC, both included.
    cloud_max : float, optional
        Largest cloud cover, percent, level 2 only. It is one number per granule in the metadata, for the
        whole granule and not for the region, and may be absent: such granules are then not found.
    version : str, optional
        Only this processing version. By default the newest of each scene is taken.
    at_hand : collection of str
        Names of files that one has: a final one among them needs no near-real-time twin any more.
    sleep : callable
        Waits for a number of seconds before a request is repeated.

    Returns
    -------
    list of Found
        By time and name, each once. Near-real-time files are left out where the final one is at hand or in
        the catalogue.

    Raises
    ------
    FetchError
        If nothing is found, the dates or the cloud limit make no sense, or the catalogue does not answer.

    References
    ----------
    CMR Search API, https://cmr.earthdata.nasa.gov/search/site/docs/search/api.html
    """
    asked = named_product(product)
    _check(asked, start, end, cloud_max)
    ask = partial(_ask, region=region, start=start, end=end, sleep=sleep)
    found = ask(asked, cloud_max=cloud_max, version=version)
    words = _words(asked, region, start, end, cloud_max, version)
    if not found:
        advice = _advice(asked, end, cloud_max, version)
        raise FetchError(f"wanted {words}, found none in the catalogue. {advice}")
    if version is None:
        found = newest(found)
    if asked.final is None:
        return found
    finals = ask(named_product(asked.final), cloud_max=None, version=None)
    names = [name for name in at_hand if ".NRT." not in name] + [file.name for file in finals]
    final_scenes = {scene(name) for name in names}
    kept = [file for file in found if scene(file.name) not in final_scenes]
    if not kept:
        raise FetchError(
            f"wanted {words}, found {len(found)} in the catalogue, all replaced by final ones. "
            f"Try --product {asked.final}."
        )
    return kept


def _check(product: Product, start: date, end: date, cloud_max: float | None) -> None:
    """Refuse what the catalogue would answer with nothing, or with nonsense."""
    if end < start:
        raise FetchError(f"wanted a period, found the end {end} before the start {start}. Swap them.")
    if cloud_max is None:
        return
    if product.whole_globe:
        raise FetchError(
            f"wanted a cloud limit for level-2 granules, found one for {product.name}, whose files hold the "
            "whole globe. Leave --cloud-max out."
        )
    if not 0 <= cloud_max <= 100:
        raise FetchError(
            f"wanted a cloud limit from 0 to 100 percent, found {cloud_max:g}. Try --cloud-max 80."
        )


def _words(
    product: Product, region: Region, start: date, end: date, cloud_max: float | None, version: str | None
) -> str:
    """What was asked, for a message."""
    box = ",".join(f"{side:g}" for side in region.bounds)
    where = region.name if "," in region.name else f"{region.name} ({box})"
    cloud = "" if cloud_max is None else f", cloud cover up to {cloud_max:g} %"
    which = "" if version is None else f", version {version}"
    names = " or ".join(product.short_names)
    return f"files of {product.name} ({names}{which}) for {where}, {start} to {end}{cloud}"


def _advice(product: Product, end: date, cloud_max: float | None, version: str | None) -> str:
    """What to try when nothing was found."""
    if end < FIRST_DATA:
        return f"PACE has data since {FIRST_DATA}."
    tries = []
    if version is not None:
        tries.append("without --version, as the archive removes old ones")
    if cloud_max is not None:
        tries.append("without --cloud-max, as granules without that number are not found either")
    tries.append("a longer period")
    if not product.whole_globe:
        tries.append("a larger region (west,south,east,north)")
    if product.near_real_time_twin is not None:
        tries.append(f"--product {product.near_real_time_twin} for the last weeks")
    return f"Try {', or '.join(tries)}."


def _ask(
    product: Product,
    *,
    region: Region,
    start: date,
    end: date,
    cloud_max: float | None,
    version: str | None,
    sleep: Callable[[float], object],
) -> list[Found]:
    """Every file of a product, each once: the catalogue lists some twice."""
    limits: dict[str, Any] = {"temporal": (start, end)}  # a date as the end includes that day
    if version is not None:
        limits["version"] = version
    if cloud_max is not None:
        limits["cloud_cover"] = ("0", f"{cloud_max:g}")  # text: the client takes the number 0 for none
    if product.pattern is not None:
        limits["granule_name"] = product.pattern
    boxes = [{}] if product.whole_globe else [{"bounding_box": box} for box in _boxes(region)]
    found: dict[str, Found] = {}
    for short_name in product.short_names:
        for box in boxes:
            for granule in granules({"short_name": short_name, **limits, **box}, sleep):
                file = file_of_record(granule, product, short_name)
                if file is not None:
                    found[file.name] = file
    return sorted(found.values(), key=lambda file: (file.start, file.name))


def _boxes(region: Region) -> list[tuple[float, float, float, float]]:
    """A region as boxes that do not cross the date line."""
    west, south, east, north = region.bounds
    if not region.crosses_date_line:
        return [(west, south, east, north)]
    halves = [(west, south, 180.0, north), (-180.0, south, east, north)]
    return [half for half in halves if half[0] < half[2]]
