"""Whom alerts are sent to: webhooks and mail, and secrets that show themselves to nobody."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from spectm.errors import AlertError

__all__ = ["IN_URL", "TIMEOUT_S", "Mail", "Receiver", "Secret", "Webhook"]

TIMEOUT_S = 10.0
IN_URL = re.compile(r"\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that stands in an environment variable; it shows itself to nobody.

    Parameters
    ----------
    variable : str
        Its name.
    """

    variable: str

    def value(self) -> str:
        """What the variable holds now.

        Raises
        ------
        AlertError
            If it is not set, or holds what no header may hold; the value is not repeated.
        """
        found = os.environ.get(self.variable, "")
        if not found:
            raise AlertError(
                f"the environment variable {self.variable} is not set. Set it where spectm alerts is run: a "
                "crontab does not read your shell's profile."
            )
        if not (found.isascii() and found.isprintable() and found.strip() == found):
            raise AlertError(
                f"the environment variable {self.variable} holds blanks at an end, a line break or letters "
                "beyond ASCII (not shown). Set it anew."
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that alerts are posted to as JSON.

    Parameters
    ----------
    name : str
        Of the receiver.
    host : str
    port : int
    secure : bool
        TLS; without it only to this machine itself.
    path : str
        With query; parts such as ``{env:NAME}`` are filled in when it is used.
    headers : tuple of (str, Secret)
        Sent along.
    timeout : float
        Seconds that one attempt may take as a whole.
    ca_file : Path, optional
        Certificates to trust instead of the system's.
    """

    name: str
    host: str
    port: int
    secure: bool
    path: str
    headers: tuple[tuple[str, Secret], ...]
    timeout: float = TIMEOUT_S
    ca_file: Path | None = None

    @property
    def target(self) -> str:
        """Where it is, without what may be secret."""
        return f"{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All of them."""
        in_path = tuple(Secret(name) for name in IN_URL.findall(self.path))
        return in_path + tuple(secret for _, secret in self.headers)

    def filled_path(self) -> str:
        """Path and query with their secrets."""
        return IN_URL.sub(lambda found: quote(Secret(found[1]).value(), safe="/"), self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Addresses that alerts are mailed to, through one server.

    Parameters
    ----------
    name : str
        Of the receiver.
    host : str
    port : int
    security : {"tls", "starttls", "none"}
        None only on this machine itself.
    user, password : Secret, optional
        For servers that ask for them.
    sender : str
        Address that mail is from.
    to : tuple of str
        Addresses.
    timeout, ca_file
        As of a webhook.
    """

    name: str
    host: str
    port: int
    security: str
    user: Secret | str | None
    password: Secret | None
    sender: str
    to: tuple[str, ...]
    timeout: float = TIMEOUT_S
    ca_file: Path | None = None

    @property
    def target(self) -> str:
        """Where the server is."""
        return f"{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All of them."""
        return tuple(one for one in (self.user, self.password) if isinstance(one, Secret))


Receiver = Webhook | Mail
