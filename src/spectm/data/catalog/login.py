"""Earthdata login, tried in one order: the environment, netrc, and a question if there is a terminal.

A secret is held in memory only. It goes to Earthdata Login, and as a bearer token to the host that keeps a
file, if that is one of NASA's; whoever that host redirects to gets none.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from spectm.data.catalog.cmr import without_client
from spectm.errors import FetchError, LoginError

if TYPE_CHECKING:
    import requests

__all__ = ["HOW_TO_LOG_IN", "LOGIN_HOST", "Login", "login"]

LOGIN_HOST = "urs.earthdata.nasa.gov"
TRUSTED_DOMAINS = (".earthdata.nasa.gov", ".earthdatacloud.nasa.gov", ".gsfc.nasa.gov")
TIMEOUT_S = (30, 60)  # to connect, and between two bytes
MAX_REDIRECTS = 10
HOW_TO_LOG_IN = (
    f"Make a token at https://{LOGIN_HOST} (free account, Generate Token) and set EARTHDATA_TOKEN, or put "
    f"'machine {LOGIN_HOST} login NAME password PASSWORD' into ~/.netrc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that worked.

    Parameters
    ----------
    method : str
        Where the credentials came from, for people.
    token : str
        The bearer token; not part of the text of this object.
    client : object
        The Earthdata client's own login, which knows name and password where they were given.
    """

    method: str
    token: str = field(repr=False)
    client: Any = field(repr=False)

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> "Iterator[requests.Response]":
        """Answer to a request for a file, its body still to be read; redirects are followed.

        Parameters
        ----------
        url : str
            Where the catalogue says that the file is.
        headers : mapping
            Of every request.

        Raises
        ------
        FetchError
            If the archive redirects to an address without https, or in a circle.
        """
        host = urlsplit(url).hostname or ""
        with closing(self.client.get_session()) as session:
            session.headers.pop("Authorization", None)  # the client would send it anywhere
            # An `auth` of one's own also keeps requests from looking into netrc for every host.
            session.auth = _Bearer(self.token, host if host.endswith(TRUSTED_DOMAINS) else "")
            for _ in range(MAX_REDIRECTS):
                answer = session.get(
                    url, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUT_S
                )
                with closing(answer):
                    if not answer.is_redirect:
                        yield answer
                        return
                    url = urljoin(url, answer.headers["Location"])
                if urlsplit(url).scheme != "https":
                    raise FetchError(
                        f"wanted https all the way, found {host} redirecting to an address without."
                    )
        raise FetchError(
            f"wanted a file, found more than {MAX_REDIRECTS} redirects at {host}. Try again later."
        )


class _Bearer:
    """Signs requests to one host."""

    def __init__(self, token: str, host: str) -> None:
        self._token, self._host = token, host

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        where = urlsplit(request.url or "")
        if self._host and where.scheme == "https" and where.hostname == self._host:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def login(*, ask: bool) -> Login:
    """Log in to Earthdata with the first credentials there are.

    1. ``EARTHDATA_TOKEN``; where it is absent, ``EARTHDATA_USERNAME`` and ``EARTHDATA_PASSWORD`` together.
    2. The netrc file: that of ``NETRC``, or ``~/.netrc``.
    3. Name and password typed, if `ask`.

    Credentials that are refused end the login: the next ones are not tried. A token is first used when a file
    is fetched. With a name and a password the client finds or makes a token. Nothing is stored.

    Parameters
    ----------
    ask : bool
        Whether there is a terminal to ask on.

    Raises
    ------
    LoginError
        If there are no credentials or they are refused.
    FetchError
        If the client is not installed or Earthdata Login does not answer.
    """
    try:
        import requests
        from earthaccess import Auth
        from earthaccess.exceptions import LoginAttemptFailure, LoginStrategyUnavailable
    except ImportError as error:
        raise without_client(error) from error
    absent = []
    for strategy in ("environment", "netrc", "interactive") if ask else ("environment", "netrc"):
        client, words = Auth(), _words(strategy)
        try:
            client.login(strategy)
        except LoginStrategyUnavailable as error:
            absent.append(f"{strategy}: {error}")
            continue
        except LoginAttemptFailure as error:
            raise LoginError(
                f"wanted to log in to Earthdata with {words}, found that it was refused. {HOW_TO_LOG_IN}."
            ) from error
        except requests.RequestException as error:
            raise FetchError(
                f"wanted to log in to Earthdata with {words}, found no answer from {LOGIN_HOST} "
                f"({type(error).__name__}). Try again later."
            ) from error
        token = str((client.token or {}).get("access_token", "")).strip()
        if not token:
            raise LoginError(f"wanted a token from {words}, found an empty one. {HOW_TO_LOG_IN}.")
        return Login(method=words, token=token, client=client)
    raise LoginError(f"wanted Earthdata credentials, found none ({'; '.join(absent)}). {HOW_TO_LOG_IN}.")


def _words(strategy: str) -> str:
    """Where credentials come from, without the credentials."""
    if strategy == "environment":
        has_token = "EARTHDATA_TOKEN" in os.environ
        return "EARTHDATA_TOKEN" if has_token else "EARTHDATA_USERNAME and EARTHDATA_PASSWORD"
    return (
        f"the netrc file {os.environ.get('NETRC') or '~/.netrc'}"
        if strategy == "netrc"
        else "name and password"
    )
