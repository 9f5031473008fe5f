"""Sections of receivers: targets come from the file and nowhere else, secrets from anywhere but the file."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from spectm.apps.alerts.receivers import IN_URL, TIMEOUT_S, Mail, Receiver, Secret, Webhook
from spectm.apps.alerts.sections import Section
from spectm.errors import AlertError

__all__ = ["parse_receiver"]

WEBHOOK_KEYS = ("url", "headers", "timeout", "ca_file")
MAIL_KEYS = ("host", "port", "security", "user", "password", "from", "to", "timeout", "ca_file")
PORTS = {"tls": 465, "starttls": 587, "none": 25}
LONGEST_S = 60.0

VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.IGNORECASE)
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
OURS = {
    *("host", "content-length", "content-type", "content-encoding", "transfer-encoding"),
    *("connection", "idempotency-key", "user-agent", "expect", "te", "trailer", "upgrade"),
}
# What a token looks like: a long word of letters and digits, or of large and small letters.
LONG_WORD = re.compile(
    r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9+=~:]{16,}|(?=[^/]*[a-z][^/]*[A-Z])[A-Za-z0-9+=~:]{20,}"
)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
TOKEN_NAME = re.compile(r"key|token|secret|passw|pwd|auth|sig|code|credential", re.IGNORECASE)


def parse_receiver(name: str, values: object, where: str, folder: Path) -> Receiver:
    """A receiver from its section.

    Parameters
    ----------
    name : str
        Of the section.
    values : object
        What stands in it.
    where : str
        File and section, for errors.
    folder : Path
        Where a relative ``ca_file`` begins.

    Raises
    ------
    AlertError
        If something is missing, unknown, unsafe, or a secret; values are never repeated.
    """
    section = Section(values, where, private=True)
    if ("url" in section) == ("host" in section):
        found = "both" if "url" in section else "neither"
        raise AlertError(
            f"{where}: wanted url for a webhook or host for mail, found {found}. "
            'Write url = "https://..." or host = "smtp.example.org".'
        )
    return _webhook(name, section, folder) if "url" in section else _mail(name, section, folder)


def _webhook(name: str, section: Section, folder: Path) -> Webhook:
    section.only(WEBHOOK_KEYS)
    url = _url(section)
    secure, host = url.scheme == "https", str(url.hostname)
    if not secure and not _is_this_machine(host):
        raise section.refuse(
            "url", "https", f"Without TLS anybody on the way could read or change what is sent to {host}."
        )
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = section.values.get("headers", {})
    if not isinstance(headers, Mapping):
        raise section.refuse("headers", "a table of names and env:NAME")
    return Webhook(
        name=name,
        host=host,
        port=url.port or (443 if secure else 80),
        secure=secure,
        path=path,
        headers=tuple((key, _header(section, key, value)) for key, value in headers.items()),
        timeout=_timeout(section),
        ca_file=_ca_file(section, folder),
    )


def _url(section: Section) -> SplitResult:
    """The address, with nothing in it that should not be."""
    text = section.text("url", "an address such as https://alerts.example.org/spectm")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise section.refuse("url", "an address with a host and perhaps a port") from error
    plain = text.isascii() and not re.search(r"[\s\\]", text) and url.scheme in ("https", "http")
    if not (plain and _is_host(url.hostname or "") and port != 0) or url.fragment:
        raise section.refuse(
            "url",
            "an address such as https://alerts.example.org/spectm",
            "Only its path may hold {env:NAME}.",
        )
    if "@" in url.netloc:
        raise AlertError(f"{section.where}: wanted url without user and password, found some. {_HOW_HEADERS}")
    known = IN_URL.sub("", url.path), IN_URL.sub("", url.query)
    pairs = [pair.partition("=") for pair in known[1].split("&")]
    words = [*known[0].split("/"), *(value for _, _, value in pairs)]
    if any(map(_is_token, words)) or any(value and TOKEN_NAME.search(key) for key, _, value in pairs):
        raise AlertError(
            f"{section.where}: url seems to hold a secret (not shown). Put that part into an environment "
            'variable and write url = "https://host/path/{env:NAME}" with the name of the variable.'
        )
    if "{" in "".join(known):
        raise section.refuse("url", "variables written as {env:NAME}")
    return url


_HOW_HEADERS = (
    "Put secrets into environment variables and name them: headers = { Authorization = "
    '"env:ALERTS_AUTHORIZATION" }.'
)


def _header(section: Section, key: str, value: object) -> Secret:
    """The variable that a header is filled from."""
    if not HEADER.fullmatch(key) or key.lower() in OURS:
        raise AlertError(
            f"{section.where}: wanted names of headers that are free to use, found {key!r}. spectm sets "
            f"{', '.join(sorted(OURS))} by itself, or not at all."
        )
    return _secret(section, f"headers.{key}", value)


def _secret(section: Section, key: str, value: object) -> Secret:
    """The variable that a secret stands in; the secret itself is refused."""
    found = VARIABLE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise AlertError(
            f"{section.where}: {key} seems to be written out (not shown); secrets do not belong here. "
            "Put it into an environment variable, such as ALERTS_SECRET, and write "
            f'{key.rpartition(".")[2]} = "env:ALERTS_SECRET". Change it if others could read the file.'
        )
    return Secret(found[1])


def _mail(name: str, section: Section, folder: Path) -> Mail:
    section.only(MAIL_KEYS)
    host = section.text("host", "the name of a mail server")
    if not _is_host(host):
        raise section.refuse("host", "the name of a mail server, such as smtp.example.org")
    security = section.text("security", "tls, starttls or none", default="starttls")
    if security not in PORTS or (security == "none" and not _is_this_machine(host)):
        raise section.refuse(
            "security", 'starttls or tls ("none" only to this machine itself)', 'Write security = "starttls".'
        )
    user, password = section.values.get("user"), section.values.get("password")
    if (user is None) != (password is None):
        raise AlertError(f"{section.where}: wanted user and password, or neither; found one of them.")
    found_user: Secret | str | None = None
    if user is not None:
        text = section.text("user", "a name, or env:NAME")
        found_user = Secret(found[1]) if (found := VARIABLE.fullmatch(text)) else text
        if not text.isascii():
            raise section.refuse("user", "a name in ASCII, or env:NAME")
    to = section.texts("to", "a list of different addresses")
    sender = section.text("from", "an address such as alerts@example.org")
    if not to or not all(map(ADDRESS.fullmatch, (*to, sender))):
        key = "from" if to and not ADDRESS.fullmatch(sender) else "to"
        raise section.refuse(key, "plain addresses such as alerts@example.org, without names")
    return Mail(
        name=name,
        host=host,
        port=round(section.number("port", "1 to 65535", 0, 65535, default=PORTS[security])),
        security=security,
        user=found_user,
        password=None if password is None else _secret(section, "password", password),
        sender=sender,
        to=to,
        timeout=_timeout(section),
        ca_file=_ca_file(section, folder),
    )


def _timeout(section: Section) -> float:
    wanted = f"seconds above 0 and up to {LONGEST_S:g}"
    return section.number("timeout", wanted, 0, LONGEST_S, default=TIMEOUT_S)


def _ca_file(section: Section, folder: Path) -> Path | None:
    if "ca_file" not in section:
        return None
    path = folder / section.text("ca_file", "a file of certificates (PEM)")
    if not path.is_file():
        raise AlertError(
            f"{section.where}: wanted a file of certificates (PEM), found none at {path}. Paths begin at the "
            "folder of the rules."
        )
    return path


def _is_token(word: str) -> bool:
    return bool(UUID.fullmatch(word)) or any(map(LONG_WORD.fullmatch, re.split(r"[-_.]", word)))


def _is_host(host: str) -> bool:
    return bool(HOST.fullmatch(host)) or _address(host) is not None


def _is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    found = _address(host)
    return host.lower() == "localhost" if found is None else found.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
