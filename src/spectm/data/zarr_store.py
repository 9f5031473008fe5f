"""What the cube and the maps of predictions share: Zarr stores that grow at the end, period by period.

A period is there once the attributes name it, and these are replaced at once.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectm.data.periods import Period

__all__ = ["add_array", "consolidate", "lengthen", "mark_period", "unmark_period"]


def add_array(
    store: Any,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
    attrs: Mapping[str, Any],
    *,
    fill: float,
) -> None:
    """One compressed variable with its dimensions and attributes."""
    from zarr.codecs import BloscCodec

    store.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        fill_value=fill,
        dimension_names=dims,
        attributes=dict(attrs),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
    )


def lengthen(store: Any, n: int) -> None:
    """Make room for `n` periods in every variable that has them; the store is opened unconsolidated."""
    for name in store.array_keys():
        array = store[name]
        if array.metadata.dimension_names[0] == "time":
            array.resize((n, *array.shape[1:]))


def mark_period(store: Any, period: Period, record: Mapping[str, Any]) -> None:
    """Let a period be seen; its tiles must all be written."""
    records = {**store.attrs["periods"], str(period.start): dict(record)}
    store.attrs["periods"] = dict(sorted(records.items()))


def unmark_period(store: Any, period: Period) -> None:
    """Let a period not be seen while it is written anew."""
    records = dict(store.attrs["periods"])
    if records.pop(str(period.start), None) is not None:
        store.attrs["periods"] = records


def consolidate(path: Path) -> None:
    """Write the metadata of all arrays into one file, replaced at once."""
    import zarr

    with warnings.catch_warnings():  # every reader of the store has agreed on it; the specification lags
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)
