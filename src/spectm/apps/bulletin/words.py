"""Numbers as people read them."""

import numpy as np

__all__ = ["NOTHING", "amount", "area", "interval", "percent", "plural"]

NOTHING = "–"


def amount(value: float, least: float) -> str:
    """A concentration, ug/L, to two digits; what lies at the detection limit as below it.

    Examples
    --------
    >>> amount(0.1, 0.1), amount(1.234, 0.1), amount(123.4, 0.1), amount(float("nan"), 0.1)
    ('below 0.1', '1.2', '120', '–')
    """
    if not np.isfinite(value):
        return NOTHING
    if value <= least * (1 + 1e-6):
        return f"below {least:g}"
    rounded = float(f"{value:.2g}")
    return f"{rounded:g}" if rounded >= 10 else f"{rounded:.2g}"


def interval(low: float, high: float, least: float) -> str:
    """Two ends, ug/L; a lower end at the detection limit is open.

    Examples
    --------
    >>> interval(0.1, 3.21, 0.1), interval(0.5, 3.21, 0.1)
    ('below 0.1 to 3.2', '0.5 to 3.2')
    """
    return f"{amount(low, least)} to {amount(high, least)}" if np.isfinite(low) else NOTHING


def percent(share: float) -> str:
    """A share; never 0 or 100 % where it is neither.

    Examples
    --------
    >>> percent(0.004), percent(0.996), percent(0.0), percent(0.123)
    ('under 1 %', 'over 99 %', '0 %', '12 %')
    """
    if not np.isfinite(share):
        return NOTHING
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def area(km2: float) -> str:
    """Square kilometres, to two digits.

    Examples
    --------
    >>> area(0.0), area(4.21), area(1234.0)
    ('0 km²', '4.2 km²', '1,200 km²')
    """
    return f"{float(f'{km2:.2g}'):,g} km²"


def plural(n: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Examples
    --------
    >>> plural(1, "cell"), plural(1234, "cell")
    ('1 cell', '1,234 cells')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
