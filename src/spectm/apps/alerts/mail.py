"""An alert mailed through a server: over TLS, and no more of its answers than it may take."""

import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from spectm.apps.alerts.attempts import Attempt, Deadline, failed, reader, tls
from spectm.apps.alerts.receivers import Mail, Secret
from spectm.errors import AlertError

__all__ = ["mail", "mail_of"]


# A long subject stays on one line: folded, its first line would be empty, and some servers mind that.
WIDE = SMTP.clone(max_line_length=400)


class _Server(smtplib.SMTP):
    """A mail server that is waited for up to a moment."""

    def __init__(self, receiver: Mail, deadline: Deadline, context: ssl.SSLContext | None) -> None:
        self._deadline, self._wrap = deadline, context if receiver.security == "tls" else None
        # A name of this machine that needs no look-up, which could take long.
        super().__init__(receiver.host, receiver.port, socket.gethostname(), max(deadline.left, 0.001))

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        sock = socket.create_connection((host, port), timeout)
        if self._wrap is None:
            return sock
        try:
            return self._wrap.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = reader(self.sock, self._deadline)
        return super().getreply()

    def send(self, s: Any) -> None:
        if self.sock is not None:
            self._deadline.hold(self.sock)
        super().send(s)


def mail_of(receiver: Mail, subject: str, text: str, key: str, time: str) -> EmailMessage:
    """The message; for one alert it is the same each time that it is sent.

    Parameters
    ----------
    receiver : Mail
    subject, text : str
        Subject on one line, and the body.
    key : str
        The alert's id: ``Message-ID`` is made from it.
    time : str
        When the alert was made, ISO 8601.
    """
    message = EmailMessage(WIDE)
    message["From"] = receiver.sender
    message["To"] = ", ".join(receiver.to)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromisoformat(time))
    message["Message-ID"] = f"<{key}@{receiver.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # out-of-office programs keep silent
    message.set_content(text)
    return message


def mail(receiver: Mail, message: EmailMessage, to: Sequence[str], latest: Deadline) -> Attempt:
    """Send a message once.

    Parameters
    ----------
    receiver : Mail
    message : EmailMessage
        Of `mail_of`.
    to : sequence of str
        Those of its addresses that have not taken it yet.
    latest : Deadline
        Of the run; the attempt has its own besides.
    """
    deadline = Deadline(receiver.timeout, latest)
    server: _Server | None = None
    try:
        user = receiver.user.value() if isinstance(receiver.user, Secret) else receiver.user
        password = receiver.password.value() if receiver.password else ""
        context = None if receiver.security == "none" else tls(receiver.ca_file)
        server = _Server(receiver, deadline, context)
        if receiver.security == "starttls":
            deadline.hold(server.sock)  # type: ignore[arg-type]
            server.starttls(context=context)
        if user is not None:
            server.login(user, password)
        refused = server.send_message(message, receiver.sender, list(to))
    except smtplib.SMTPRecipientsRefused as error:
        return _refused([code for code, _ in error.recipients.values()], ())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
        what = (
            "user and password" if isinstance(error, smtplib.SMTPAuthenticationError) else "STARTTLS or login"
        )
        return Attempt(end="closed", detail=f"it does not take {what}")
    except smtplib.SMTPResponseException as error:
        return _refused([error.smtp_code], ())
    except (AlertError, OSError, smtplib.SMTPException) as error:
        return failed(error)
    finally:
        if server is not None:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()
    if refused:
        return _refused(
            [code for code, _ in refused.values()], tuple(one for one in to if one not in refused)
        )
    return Attempt(end="taken", detail="it took the mail", taken_by=tuple(to))


def _refused(codes: Sequence[int], taken_by: tuple[str, ...]) -> Attempt:
    """Nobody, or not everybody, was taken: below 500 is for now, above for good."""
    said = ", ".join(map(str, sorted(set(codes))))
    detail = f"it answered {said}" + (
        f" for {len(codes)} of {len(codes) + len(taken_by)} addresses" if taken_by else ""
    )
    for_now = any(code < 500 for code in codes)
    return Attempt(end="again" if for_now else "refused", detail=detail, taken_by=taken_by)
