"""What the archive holds and can be fetched, by names that are easier to type than the catalogue's."""

import difflib
from dataclasses import dataclass

from spectm.errors import FetchError

__all__ = ["PRODUCTS", "Product", "named_product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One kind of file.

    Parameters
    ----------
    name : str
        What users type.
    title : str
        What it holds.
    short_names : tuple of str
        Names in the catalogue, all of which are searched: reprocessing has renamed collections.
    contains : tuple of str
        Paths within the file that every version of it has.
    pattern : str or None
        Names of files, where one collection holds several periods and resolutions.
    whole_globe : bool
        True for level 3: every file covers the globe, and the archive can't cut it.
    final : str or None
        For a near-real-time product, the one that replaces it.
    near_real_time_twin : str or None
        For a final product, the one that comes earlier.
    """

    name: str
    title: str
    short_names: tuple[str, ...]
    contains: tuple[str, ...]
    pattern: str | None = None
    whole_globe: bool = False
    final: str | None = None
    near_real_time_twin: str | None = None


_L2_CONTAINS = ("geophysical_data/Rrs", "geophysical_data/l2_flags", "navigation_data/latitude")


def _level_3() -> list[Product]:
    """Maps: two quantities, two periods, two resolutions."""
    quantities = {
        # With version 3.2 (April 2026) NASA put Rrs, nflh and avw into one file, and the collection
        # PACE_OCI_L3M_AOP took the place of PACE_OCI_L3M_RRS.
        "rrs": ("Rrs", "remote-sensing reflectance", ("PACE_OCI_L3M_AOP", "PACE_OCI_L3M_RRS")),
        "sfrefl": ("rhos", "surface reflectance", ("PACE_OCI_L3M_SFREFL",)),
    }
    return [
        Product(
            name=f"l3m-{quantity}-{period.lower()}{'' if grid == '4km' else '-' + grid}",
            title=f"global map of {title}, {'8 days' if period == '8D' else 'daily'}, {size}",
            short_names=short_names,
            pattern=f"*.L3m.{period}.*.{grid}.*",
            contains=(variable, "lat", "lon"),
            whole_globe=True,
        )
        for quantity, (variable, title, short_names) in quantities.items()
        for period in ("8D", "DAY")
        for grid, size in (("4km", "4 km"), ("0p1deg", "0.1 degree"))
    ]


_ALL = (
    Product(
        name="l2-aop",
        title="swaths of remote-sensing reflectance with flags, about 1 km",
        short_names=("PACE_OCI_L2_AOP",),
        contains=_L2_CONTAINS,
        near_real_time_twin="l2-aop-nrt",
    ),
    Product(
        name="l2-aop-nrt",
        title="the same in near real time, until the final file is there",
        short_names=("PACE_OCI_L2_AOP_NRT",),
        contains=_L2_CONTAINS,
        final="l2-aop",
    ),
    *_level_3(),
)
PRODUCTS = {product.name: product for product in _ALL}


def named_product(name: str) -> Product:
    """Product of a name.

    Raises
    ------
    FetchError
        If there is none of that name.

    Examples
    --------
    >>> named_product("l3m-rrs-8d").pattern
    '*.L3m.8D.*.4km.*'
    """
    if name not in PRODUCTS:
        near = difflib.get_close_matches(name, PRODUCTS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(PRODUCTS)}."
        raise FetchError(f"wanted the name of a product, found {name!r}. {hint}")
    return PRODUCTS[name]
