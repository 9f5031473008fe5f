"""Asking a server once more: what is worth it, and after how long."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["ATTEMPTS", "LONGEST_WAIT_S", "TRANSIENT", "wait_s"]

TRANSIENT = frozenset({429, 500, 502, 503, 504})  # too many requests, or the server's own trouble
ATTEMPTS = 5  # in a row without a byte of progress; with the waits below about half a minute
LONGEST_WAIT_S = 300.0  # a server that asks for more is left alone until the command is run again


def wait_s(failures: int, retry_after: str | None = None, *, now: datetime | None = None) -> float:
    """Seconds to wait before asking again: what the server asks for, or else 1, 2, 4, ..., 60.

    Parameters
    ----------
    failures : int
        Requests in a row that failed, 1 or more.
    retry_after : str, optional
        ``Retry-After`` of the answer: seconds, or a date. An unreadable one counts as none.
    now : datetime, optional
        What a date is counted from, the present by default.

    References
    ----------
    RFC 9110, section 10.2.3.

    Examples
    --------
    >>> [wait_s(failures) for failures in (1, 2, 3, 9)]
    [1.0, 2.0, 4.0, 60.0]
    >>> wait_s(1, "17")
    17.0
    """
    if retry_after is not None:
        try:
            return max(0.0, float(retry_after))
        except ValueError:
            pass
        try:
            asked = parsedate_to_datetime(retry_after)
        except ValueError:
            pass
        else:
            since = asked - (now or datetime.now(UTC)) if asked.tzinfo else None
            return max(0.0, since.total_seconds()) if since else 1.0
    return float(min(60, 2 ** (failures - 1)))
