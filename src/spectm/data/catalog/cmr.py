"""Asks NASA's Common Metadata Repository (CMR) through the Earthdata client; no login, no secret."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from spectm.data.catalog.retries import ATTEMPTS, LONGEST_WAIT_S, TRANSIENT, wait_s
from spectm.errors import FetchError

__all__ = ["granules", "without_client"]

TIMEOUT_S = 60  # the client itself would wait for ever


def granules(asked: Mapping[str, Any], sleep: Callable[[float], object]) -> list[Mapping[str, Any]]:
    """Records (UMM-G) of all granules that match, asking again where that may help.

    Parameters
    ----------
    asked : mapping
        Keyword arguments of ``earthaccess.search_data``.
    sleep : callable
        Waits for a number of seconds.

    Raises
    ------
    FetchError
        If the catalogue does not answer, or refuses what is asked.
    """
    try:
        import earthaccess
        import requests
    except ImportError as error:
        raise without_client(error) from error
    for failures in range(1, ATTEMPTS + 1):
        query = earthaccess.DataGranules().parameters(**asked)
        query.session.auth = lambda request: request  # else requests would look into netrc
        query.session.request = partial(query.session.request, timeout=TIMEOUT_S)  # type: ignore[method-assign]
        try:
            with closing(query.session), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of the client's own use of itself
                n_granules = query.hits()
                return list(query.get(n_granules)) if n_granules else []
        except (RuntimeError, requests.RequestException) as error:
            reason, worth_it, retry_after = _explained(error)
        delay = wait_s(failures, retry_after)
        if not worth_it or delay > LONGEST_WAIT_S:
            break
        if failures < ATTEMPTS:
            sleep(delay)
    raise FetchError(
        f"wanted an answer of NASA's catalogue for {asked['short_name']}, found {reason} after {failures} "
        f"request{'s' * (failures > 1)}. See https://status.earthdata.nasa.gov and try again later."
    )


def without_client(error: ImportError) -> FetchError:
    """Error that says how to install the Earthdata client."""
    return FetchError(
        f"wanted the Earthdata client, found that it is not installed ({error}). "
        "Try: pip install 'spectm[fetch]'"
    )


def _explained(error: Exception) -> tuple[str, bool, str | None]:
    """Reason in words, whether asking again may help, and the wait that the server asks for."""
    cause = error.__cause__ if isinstance(error, RuntimeError) else error
    answer = getattr(cause, "response", None)
    if answer is not None:
        said = " ".join(answer.text.split())[:200]
        reason = f"status {answer.status_code}" + (f" ({said})" if said else "")
        return reason, answer.status_code in TRANSIENT, answer.headers.get("Retry-After")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        trusted = "REQUESTS_CA_BUNDLE names the file of those that are"
        return f"a certificate that is not trusted ({trusted})", False, None
    return f"{type(error).__name__}: {error}", not isinstance(error, RuntimeError), None
