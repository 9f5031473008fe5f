"""Moments as files write them."""

import numpy as np
import numpy.typing as npt

__all__ = ["utc_stamps"]


def utc_stamps(times: npt.ArrayLike) -> npt.NDArray[np.str_]:
    """Moments in UTC as text, to the second.

    Parameters
    ----------
    times : array_like of datetime64, any shape
        UTC; a column of a table with that time zone will do.

    Examples
    --------
    >>> print(utc_stamps(np.array(["2024-08-04T17:53:05.2"], dtype="datetime64[ns]")))
    ['2024-08-04T17:53:05Z']
    """
    seconds = np.asarray(times, dtype="datetime64[s]")
    return np.char.add(np.datetime_as_string(seconds), "Z")
