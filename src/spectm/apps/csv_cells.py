"""Cells of a CSV that a spreadsheet would run as a formula, made harmless."""

import re

import pandas as pd

__all__ = ["quoted_cells", "quoted_text"]

_FORMULA = re.compile(r"\s*[=+\-@|%]|[\t\r\n]")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")


def quoted_text(text: str) -> str:
    """The same text, with an apostrophe before what a spreadsheet would take for a formula.

    Spreadsheets run what begins with =, +, -, @ or a tab, also inside quotation marks. Numbers stay numbers.

    Examples
    --------
    >>> quoted_text("=HYPERLINK(A1)"), quoted_text("-83.45"), quoted_text("WE2")
    ("'=HYPERLINK(A1)", '-83.45', 'WE2')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def quoted_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, its texts and the names of its columns made harmless; see `quoted_text`."""
    safe = table.rename(columns={name: quoted_text(str(name)) for name in table.columns})
    for name in safe.columns:
        if not (
            pd.api.types.is_numeric_dtype(safe[name]) or pd.api.types.is_datetime64_any_dtype(safe[name])
        ):
            safe[name] = [quoted_text(one) if isinstance(one, str) else one for one in safe[name]]
    return safe
