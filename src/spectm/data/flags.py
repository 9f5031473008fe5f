"""Quality flags by name, from the table that every level-2 file carries; bits are never assumed."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spectm.errors import FlagError

__all__ = ["PRESETS", "flag_counts", "flag_mask", "flag_names", "flag_table", "flags_of"]

# What NASA leaves out of its level-3 ocean colour maps: attribute l2_flag_names of a mapped RRS file.
_STANDARD = (
    "ATMFAIL",
    "LAND",
    "HILT",
    "HISATZEN",
    "STRAYLIGHT",
    "CLDICE",
    "COCCOLITH",
    "LOWLW",
    "CHLWARN",
    "CHLFAIL",
    "NAVWARN",
    "MAXAERITER",
    "HISOLZEN",
    "NAVFAIL",
    "FILTER",
    "HIGLINT",
)
_TRIPPED_BY_BLOOMS = frozenset({"COCCOLITH", "CHLWARN", "CHLFAIL", "MAXAERITER"})

PRESETS: dict[str, tuple[str, ...]] = {
    "standard": _STANDARD,
    "bloom": tuple(name for name in _STANDARD if name not in _TRIPPED_BY_BLOOMS),
    "none": (),
}


def flag_names(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Names of flags, from a preset, a list, or both.

    Parameters
    ----------
    wanted : str or sequence of str
        Presets of `PRESETS` and names of flags; in one string they are separated by commas or blanks.

    Returns
    -------
    tuple of str
        Each name once, in the order given. Whether a file knows them is asked with the file.

    Raises
    ------
    FlagError
        If nothing is named.

    Examples
    --------
    >>> flag_names("LAND, CLDICE")
    ('LAND', 'CLDICE')
    >>> len(flag_names("standard")), len(flag_names("bloom")), len(flag_names("bloom,TURBIDW"))
    (16, 12, 13)
    """
    words = wanted.replace(",", " ").split() if isinstance(wanted, str) else list(wanted)
    if isinstance(wanted, str) and not words:
        raise FlagError(
            f"wanted a preset ({', '.join(PRESETS)}) or flags such as LAND,CLDICE; found {wanted!r}. "
            "The preset none leaves nothing out."
        )
    names = [name for word in words for name in PRESETS.get(word.lower(), (word.upper(),))]
    return tuple(dict.fromkeys(names))


def flags_of(granule: xr.Dataset) -> xr.DataArray:
    """Flags of an opened granule.

    Parameters
    ----------
    granule : Dataset
        From `spectm.data.granule.open_granule`.

    Raises
    ------
    FlagError
        If it has none: a map has been made from pixels without certain flags, and keeps no flags itself.
    """
    if "l2_flags" in granule:
        return granule["l2_flags"]
    applied = granule.attrs.get("l2_flag_names", "those of its maker")
    raise FlagError(
        f"wanted the flags of a level-2 file, found none in {_place(granule.attrs)}, a "
        f"{granule.attrs.get('product', 'file')}. Level-3 maps hold no flags; already left out of them were: "
        f"{applied}. Use the level-2 files to choose others."
    )


def flag_table(l2_flags: xr.DataArray) -> dict[str, int]:
    """Bits of each flag, as the file lists them.

    Parameters
    ----------
    l2_flags : DataArray
        Flags with the attributes ``flag_masks`` and ``flag_meanings``.

    Returns
    -------
    dict of str to int
        Masks without sign, 1 to 2^31 (the file holds the highest as a negative int32). A name that occurs
        several times, as SPARE does, stands for all of its bits.

    Raises
    ------
    FlagError
        If the attributes are missing or do not belong together.
    """
    masks, meanings = l2_flags.attrs.get("flag_masks"), l2_flags.attrs.get("flag_meanings")
    if masks is None or meanings is None:
        raise FlagError(
            f"wanted flag_masks and flag_meanings, found neither or one in {_place(l2_flags.attrs)}. Level-3 "
            "maps have no flags; give l2_flags of a level-2 file as it was opened."
        )
    bits = [int(mask) & 0xFFFFFFFF for mask in np.atleast_1d(masks).tolist()]
    names = _words(meanings)
    if len(bits) != len(names):
        raise FlagError(
            f"wanted a name for each of {len(bits)} flag_masks, found {len(names)} in "
            f"{_place(l2_flags.attrs)}. Fetch the file again."
        )
    table: dict[str, int] = {}
    for name, bit in zip(names, bits, strict=True):
        table[name] = table.get(name, 0) | bit
    return table


def flag_mask(l2_flags: xr.DataArray, names: str | Sequence[str]) -> xr.DataArray:
    """True where a pixel carries one of some flags and is left out.

    Parameters
    ----------
    l2_flags : DataArray of int
        Flags with their table in the attributes, any shape.
    names : str or sequence of str
        As for `flag_names`; no name masks nothing.

    Returns
    -------
    DataArray of bool
        Same shape and coordinates; lazy where the flags are a dask array.

    Raises
    ------
    FlagError
        If the file does not know a name, or carries no flags.
    """
    bits = _union(flag_table(l2_flags), flag_names(names), _place(l2_flags.attrs))
    mask = ((_unsigned(l2_flags) & bits) != 0).rename("flag_mask")
    mask.attrs = {"flags": " ".join(flag_names(names))}
    return mask


def flag_counts(
    l2_flags: xr.DataArray, inside: xr.DataArray | None, names: str | Sequence[str]
) -> pd.DataFrame:
    """How many pixels carry each flag, and how many each costs.

    Parameters
    ----------
    l2_flags : DataArray of int
        Flags with their table in the attributes.
    inside : DataArray of bool, same shape, or None
        Pixels that count; None counts all.
    names : str or sequence of str
        Flags that leave a pixel out, as for `flag_names`.

    Returns
    -------
    DataFrame
        One row for each flag of the file, in its order: flag, excluded_by (True if it is in `names`), pixels
        (that carry it), share (of those that count, NaN if none do) and alone (pixels that this flag alone
        costs: without it in `names` they would stay). SPARE has a row only where a pixel carries it.

    Raises
    ------
    FlagError
        As for `flag_mask`.
    """
    table, chosen = flag_table(l2_flags), flag_names(names)
    excluded = _union(table, chosen, _place(l2_flags.attrs))
    flags = np.asarray(_unsigned(l2_flags).values)
    counted = flags.ravel() if inside is None else flags[np.asarray(inside.values, dtype=bool)]
    values, times = np.unique(counted, return_counts=True)  # few combinations of flags, many pixels
    rows = []
    for name, bits in table.items():
        n_pixels = int(times[(values & np.uint32(bits)) != 0].sum())
        if name == "SPARE" and not n_pixels and name not in chosen:
            continue
        only = ((values & excluded) != 0) & ((values & excluded & ~np.uint32(bits)) == 0)
        alone = int(times[only].sum()) if name in chosen else 0
        share = n_pixels / counted.size if counted.size else np.nan
        rows.append((name, name in chosen, n_pixels, share, alone))
    return pd.DataFrame(rows, columns=["flag", "excluded_by", "pixels", "share", "alone"])


def _union(table: dict[str, int], names: Sequence[str], place: str) -> np.uint32:
    """All bits of some flags."""
    bits = 0
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, [*table, *map(str.upper, PRESETS)], n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise FlagError(
                f"wanted the flag {name}, found no such flag in {place}. {hint}It knows "
                f"{', '.join(sorted(table))}; presets are {', '.join(PRESETS)}."
            )
        bits |= table[name]
    return np.uint32(bits)


def _unsigned(l2_flags: xr.DataArray) -> xr.DataArray:
    """Flags as 32 bits without sign; the bits stay as they are."""
    if not np.issubdtype(l2_flags.dtype, np.integer):
        raise FlagError(
            f"wanted flags as whole numbers, found {l2_flags.dtype} in {_place(l2_flags.attrs)}. Open the "
            "file without decoding l2_flags, as open_granule does."
        )
    return l2_flags.astype(np.uint32)


def _words(meanings: Any) -> list[str]:
    """Names in an attribute: one text with blanks, or an array of texts."""
    parts: list[Any] = np.atleast_1d(meanings).tolist()
    texts = (part.decode() if isinstance(part, bytes) else str(part) for part in parts)
    return [word for text in texts for word in text.split()]


def _place(attrs: dict[Any, Any]) -> str:
    """Where the flags come from, for messages."""
    return str(attrs.get("file", "flags without a file"))
