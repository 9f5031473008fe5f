"""Deliveries to receivers that are really there, and to some that behave badly."""

import json
import ssl
import threading
import time
from contextlib import AbstractContextManager, ExitStack
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme

from spectm.apps.alerts import deliver as delivering
from spectm.apps.alerts.attempts import Attempt
from spectm.apps.alerts.deliver import Patience, deliver
from spectm.apps.alerts.journal import DELIVERIES, Journal, open_journal, read_journal
from spectm.apps.alerts.receivers import Mail, Receiver, Secret, Webhook
from tests.apps.alerts.at_work import desk, drip, flood, nobody, nonsense, post_office
from tests.apps.alerts.made_up import alert

SECRET = "hunter2-Zx81q"
ONCE = Patience(waits=(), seconds=10)
SOON = Patience(waits=(0.01, 0.01), seconds=10)


def hook(port: int, name: str = "desk", **changes: object) -> Webhook:
    known = {"host": "127.0.0.1", "secure": False, "path": "/in", "headers": (), "timeout": 5.0}
    return Webhook(name=name, port=port, **{**known, **changes})  # type: ignore[arg-type]


def box(port: int, **changes: object) -> Mail:
    known = {
        "name": "duty",
        "host": "127.0.0.1",
        "security": "none",
        "user": None,
        "password": None,
        "sender": "alerts@example.org",
        "to": ("a@example.org", "b@example.org"),
        "timeout": 5.0,
    }
    return Mail(port=port, **{**known, **changes})  # type: ignore[arg-type]


def journal_of(folder: Path, *names: str, n: int = 1) -> AbstractContextManager[Journal]:
    with open_journal(folder) as journal:
        journal.add_alerts([alert(i, receivers=names or ("desk",)) for i in range(1, n + 1)])
    return open_journal(folder)


def sent(folder: Path, *receivers: Receiver, n: int = 1, patience: Patience = ONCE) -> list[str]:
    """Why receivers did not take all of a new journal."""
    with journal_of(folder, *(one.name for one in receivers), n=n) as journal:
        left = deliver(journal, {one.name: one for one in receivers}, patience)
    text = (folder / DELIVERIES).read_text(encoding="utf-8") if (folder / DELIVERIES).exists() else ""
    assert SECRET not in text
    return [one.detail for one in left]


def test_an_alert_is_posted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK", f"Bearer {SECRET}")
    monkeypatch.setenv("ROOM", "b c/d?e")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody()}")  # targets are of the file alone
    with desk() as at:
        headers = (("Authorization", Secret("DESK")),)
        assert sent(tmp_path, hook(at.port, path="/in/{env:ROOM}?lake=erie", headers=headers), n=2) == []
        with open_journal(tmp_path) as journal:
            assert deliver(journal, {"desk": hook(at.port)}, ONCE) == []
    assert [path for path, _, _ in at.requests] == ["/in/b%20c/d%3Fe?lake=erie"] * 2
    assert at.keys == [alert(1)["id"], alert(2)["id"]]
    assert at.requests[0][1]["Authorization"] == f"Bearer {SECRET}"
    assert at.requests[0][1]["Content-Type"] == "application/json"
    wanted = {key: value for key, value in alert(1).items() if key not in ("receivers", "asked")}
    assert at.bodies[0] == wanted
    lines = read_journal(tmp_path).deliveries
    assert [(one["receiver"], one["outcome"], one["attempts"]) for one in lines] == [("desk", "taken", 1)] * 2


def test_what_is_worth_it_is_tried_again(tmp_path: Path) -> None:
    with desk(503, 429, 200) as at:
        assert sent(tmp_path, hook(at.port), patience=SOON) == []
    assert at.keys == [alert(1)["id"]] * 3  # the same key each time
    assert [one["attempts"] for one in read_journal(tmp_path).deliveries] == [3]


def test_a_failing_receiver_loses_nothing(tmp_path: Path) -> None:
    with desk(500) as at:
        assert sent(tmp_path, hook(at.port), n=3, patience=SOON) == ["it answered 500"]
        assert at.keys == [alert(1)["id"]] * 3  # the others wait, untried
        at.answers = (200,)
        at.requests.clear()
        with open_journal(tmp_path) as journal:
            assert deliver(journal, {"desk": hook(at.port)}, SOON) == []
        assert at.keys == [alert(i)["id"] for i in (1, 2, 3)]  # the oldest first


def test_an_alert_that_is_refused_holds_no_other_up(tmp_path: Path) -> None:
    with desk(400, 200, 422, 200) as at:
        assert sent(tmp_path, hook(at.port), n=4, patience=SOON) == ["it answered 422"]
    assert len(at.requests) == 4  # a refusal is not repeated in the same run
    with open_journal(tmp_path) as journal:
        assert [one["id"] for one in journal.waiting()["desk"]] == [alert(1)["id"], alert(3)["id"]]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_closed_door_is_tried_once(tmp_path: Path, status: int) -> None:
    with desk(status) as at:
        assert sent(tmp_path, hook(at.port), n=3, patience=SOON) == [f"it answered {status}"]
    assert len(at.requests) == 1


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed(tmp_path: Path, status: int) -> None:
    with desk() as other:

        def away(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Location", f"http://127.0.0.1:{other.port}/")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with desk(away) as at:
            (why,) = sent(tmp_path, hook(at.port), patience=SOON)
    assert why == f"it answered {status}, a redirect, and none is followed"
    assert (len(at.requests), len(other.requests)) == (1, 0)


def test_a_secret_that_is_not_set_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESK", raising=False)
    with desk() as at:
        one = hook(at.port, headers=(("Authorization", Secret("DESK")),))
        (why,) = sent(tmp_path, one, patience=SOON)
        assert "DESK is not set" in why
        monkeypatch.setenv("DESK", f"{SECRET}\r\nX-Evil: 1")
        with open_journal(tmp_path) as journal:
            (left,) = deliver(journal, {"desk": one}, SOON)
        assert "line break" in left.detail
        assert SECRET not in left.detail
        assert at.requests == []
        monkeypatch.setenv("DESK", SECRET)
        with open_journal(tmp_path) as journal:
            assert deliver(journal, {"desk": one}, SOON) == []


def test_receivers_that_the_rules_no_longer_name_are_left_waiting(tmp_path: Path) -> None:
    with journal_of(tmp_path, "gone") as journal:
        assert deliver(journal, {}, ONCE) == []
        assert list(journal.waiting()) == ["gone"]


def test_a_line_written_by_hand_stops_no_other(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add_alerts([alert(1, receivers=("duty",)), alert(2, receivers=("duty",))])
        del journal.alerts[0]["threshold"]
        with post_office() as at:
            (left,) = deliver(journal, {"duty": box(at.port)}, ONCE)
    assert left.detail == "its line in the journal can't be sent (KeyError)"
    assert len(at.mails) == 1


@pytest.mark.slow
def test_hostile_receivers_hold_up_nobody(tmp_path: Path) -> None:
    """Slow, endless, senseless and absent ones beside two that are well."""
    with ExitStack() as stack:
        echo = lambda handler: handler.wfile.write(f"{SECRET}\r\n\r\n".encode())  # noqa: E731
        slow, endless, odd, loud = (stack.enter_context(desk(one)) for one in (drip, flood, nonsense, echo))
        at, mails, bad_mails = (stack.enter_context(one()) for one in (desk, post_office, post_office))
        bad_mails.floods = True
        receivers = [
            hook(slow.port, "slow", timeout=0.5),
            hook(endless.port, "endless"),
            hook(odd.port, "odd"),
            hook(loud.port, "loud"),
            hook(nobody(), "absent"),
            box(bad_mails.port, name="bad mail"),
            hook(at.port),
            box(mails.port),
        ]
        start = time.monotonic()
        why = sent(tmp_path, *receivers)
        took = time.monotonic() - start
    assert took < 5
    assert (len(at.requests), len(mails.mails)) == (1, 1)
    assert why[0] == "it gave no whole answer in time"
    assert why[1] == "it can't be reached: it answered more than 65536 bytes"
    assert why[2].startswith("it gave no answer that can be understood")
    assert why[4] == "it can't be reached: Connection refused"
    assert why[5] == "it closed the connection, or gave no whole answer in time"
    assert len(why) == 6


@pytest.mark.slow
def test_the_time_of_the_run_ends_an_attempt_that_has_more(tmp_path: Path) -> None:
    with desk(drip) as slow:
        one = hook(slow.port, timeout=30.0)
        assert sent(tmp_path, one, n=2, patience=Patience(waits=(0.01,), seconds=0.5)) == [
            "it gave no whole answer in time"
        ]
        assert len(slow.requests) == 1  # no time for another


@pytest.mark.slow
def test_the_run_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a thread hangs in what can't be ended, such as a look-up of a name."""
    monkeypatch.setattr(delivering, "GRACE_S", 0.1)
    hung = threading.Event()

    def hang(*_: object) -> Attempt:
        hung.wait(20)
        return Attempt(end="taken", detail="too late")

    monkeypatch.setattr(delivering, "post", hang)
    start = time.monotonic()
    why = sent(tmp_path, hook(1), patience=Patience(waits=(), seconds=0.2))
    assert why == ["no time was left"]
    assert time.monotonic() - start < 5
    hung.set()


def test_mail_says_all_and_is_the_same_each_time(tmp_path: Path) -> None:
    with post_office() as at:
        assert sent(tmp_path, box(at.port), n=1) == []
        again = tmp_path / "again"
        assert sent(again, box(at.port), n=1) == []
    (sender, to, text), other = at.mails
    assert "alerts@example.org" in sender
    assert to == ["a@example.org", "b@example.org"]
    mail = message_from_string(text, policy=default)
    assert mail["Message-ID"] == f"<{alert(1)['id']}@example.org>"
    assert mail["Subject"].startswith("Simulated: microcystin above 8 ug/L at 62 %, Pier")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Wed, 21 Aug 2024 06:00:00 +0000"
    assert mail["To"] == "a@example.org, b@example.org"
    assert alert(1)["why"] in mail.get_content()
    assert (sender, to, text) == other


def test_an_address_that_is_refused_does_not_double_the_others(tmp_path: Path) -> None:
    with post_office() as at:
        at.refuses = {"b@example.org": "450 later"}
        assert sent(tmp_path, box(at.port)) == ["it answered 450 for 1 of 2 addresses"]
        at.refuses = {}
        with open_journal(tmp_path) as journal:
            assert deliver(journal, {"duty": box(at.port)}, ONCE) == []
    assert [to for _, to, _ in at.mails] == [["a@example.org"], ["b@example.org"]]


@pytest.mark.parametrize(("answer", "n_attempts"), [("450 later", 3), ("550 nobody", 1)])
def test_below_500_is_for_now(tmp_path: Path, answer: str, n_attempts: int) -> None:
    with post_office() as at:
        at.refuses = dict.fromkeys(("a@example.org", "b@example.org"), f"{answer} {SECRET}")
        assert sent(tmp_path, box(at.port), patience=SOON) == [f"it answered {answer[:3]}"]
        assert sum(line.upper().startswith("MAIL") for line in at.said) == n_attempts


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.slow
class TestTls:
    """Certificates are verified, whatever happens."""

    def context(self, ca: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        return context

    def test_a_known_authority_is_trusted(self, ca: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
        with desk(context=self.context(ca)) as at:
            one = hook(at.port, host="localhost", secure=True, ca_file=ca_file)
            assert sent(tmp_path / "j", one) == []
        assert len(at.requests) == 1

    def test_an_unknown_one_is_not(
        self, ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DESK", SECRET)
        with desk(context=self.context(ca)) as at:
            one = hook(at.port, host="localhost", secure=True)
            (why,) = sent(tmp_path, one, n=2, patience=SOON)
        assert why.startswith("its certificate is not trusted: ")
        assert at.requests == []

    def test_another_name_is_not(self, ca: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
        with desk(context=self.context(ca, "elsewhere.example.org")) as at:
            one = hook(at.port, host="localhost", secure=True, ca_file=ca_file)
            (why,) = sent(tmp_path / "j", one, patience=SOON)
        assert "Hostname mismatch" in why
        assert at.requests == []

    def test_plain_text_where_tls_is_wanted_is_not(self, tmp_path: Path) -> None:
        with desk() as at:
            (why,) = sent(tmp_path, hook(at.port, host="localhost", secure=True))
        assert why == "no TLS with it"
        assert at.requests == []

    def test_a_file_without_certificates_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nonsense", encoding="utf-8")
        one = hook(nobody(), host="localhost", secure=True, ca_file=tmp_path / "ca.pem")
        (why,) = sent(tmp_path / "j", one)
        assert "wanted certificates (PEM)" in why

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_mail_with_a_password(
        self, ca: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
    ) -> None:
        monkeypatch.setenv("SMTP", SECRET)
        with post_office(self.context(ca), at_once=security == "tls") as at:
            at.password = SECRET
            changes = {
                "host": "localhost",
                "security": security,
                "user": "alerts",
                "password": Secret("SMTP"),
            }
            assert sent(tmp_path / "j", box(at.port, ca_file=ca_file, **changes)) == []
            assert len(at.mails) == 1
            monkeypatch.setenv("SMTP", "wrong")
            (why,) = sent(tmp_path / "k", box(at.port, ca_file=ca_file, **changes), patience=SOON)
            assert why == "it does not take user and password"
            (why,) = sent(tmp_path / "l", box(at.port, **changes), patience=SOON)
            assert why.startswith("its certificate is not trusted")
        assert len(at.mails) == 1

    def test_a_server_that_hides_starttls_gets_no_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMTP", SECRET)
        with post_office() as at:
            at.password = SECRET
            one = box(at.port, security="starttls", user="alerts", password=Secret("SMTP"))
            (why,) = sent(tmp_path, one, patience=SOON)
        assert why == "it does not take STARTTLS or login"
        assert not any(line.startswith("AUTH") for line in at.said)
        assert SECRET not in json.dumps(at.said)
