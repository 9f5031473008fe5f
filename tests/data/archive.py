"""A stand-in for NASA's archive on loopback: catalogue, login and two hosts of files, over verified TLS.

The client keeps its own addresses. Only the step from a host name to a socket is replaced, so names,
certificates, redirects and the rule which host gets a token are the real ones. No other host is reached.
"""

import base64
import fnmatch
import hashlib
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h5py
import numpy as np
import pytest
import trustme
from urllib3.util import connection

from tests.processes import PATIENCE_S

CATALOGUE = "cmr.earthdata.nasa.gov"
LOGIN = "urs.earthdata.nasa.gov"
FILES = "obdaac-tea.earthdatacloud.nasa.gov"  # checks the token
STORE = "store.cloudfront.net"  # has the bytes; must never see the token
ELSEWHERE = "files.example.org"
HOSTS = (CATALOGUE, LOGIN, FILES, STORE, ELSEWHERE)

TOKEN = "secret-token-7f3a"
USER, PASSWORD = "lake.watcher", "secret-password-91c2"
SIGNATURE = "secret-signature-5d10"


@cache
def granule_bytes(kind: str = "l2", seed: int = 0) -> bytes:
    """A file with what the archive's files have inside, about 300 kB that do not compress."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "granule.nc"
        noise = np.random.default_rng(seed).integers(0, 2**15, (30, 30, 172), dtype=np.int16)
        with h5py.File(path, "w") as file:
            if kind == "l2":
                file["geophysical_data/Rrs"] = noise
                file["geophysical_data/l2_flags"] = np.zeros((30, 30), np.int32)
                file["navigation_data/latitude"] = np.zeros((30, 30))
            else:
                file[kind] = noise
                file["lat"], file["lon"] = np.arange(30.0), np.arange(30.0)
        return path.read_bytes()


@dataclass
class Granule:
    """One file, and what the catalogue says of it."""

    name: str
    short_name: str = "PACE_OCI_L2_AOP"
    start: str = "2024-08-04T17:53:05Z"
    box: tuple[float, float, float, float] = (-90.0, 35.0, -70.0, 50.0)
    cloud_percent: float | None = 40.0
    body: bytes = field(default_factory=granule_bytes)
    size: int | None = -1  # that of the body
    checksum: dict[str, str] | None = field(default_factory=lambda: {"Algorithm": "MD5"})
    url: str = ""

    def record(self) -> dict[str, Any]:
        """UMM-G."""
        version = re.search(r"V(\d+)_(\d+)", self.name)
        assert version is not None
        archived: dict[str, Any] = {"Name": self.name, "Size": 0.3, "SizeUnit": "MB"}
        if self.size is not None:
            archived["SizeInBytes"] = len(self.body) if self.size < 0 else self.size
        if self.checksum is not None:
            archived["Checksum"] = {"Value": hashlib.md5(self.body).hexdigest(), **self.checksum}
        url = self.url or f"https://{FILES}/ob-cumulus-prod-public/{self.name}"
        umm = {
            "GranuleUR": f"{self.short_name}_{self.name}",
            "CollectionReference": {"ShortName": self.short_name, "Version": f"{version[1]}.{version[2]}"},
            "RelatedUrls": [
                {"URL": f"s3://ob-cumulus-prod-public/{self.name}", "Type": "GET DATA VIA DIRECT ACCESS"},
                {"URL": url, "Type": "GET DATA"},
            ],
            "TemporalExtent": {
                "RangeDateTime": {"BeginningDateTime": self.start, "EndingDateTime": self.start}
            },
            "DataGranule": {"ArchiveAndDistributionInformation": [archived]},
        }
        if self.cloud_percent is not None:
            umm["CloudCover"] = self.cloud_percent
        return {
            "meta": {"concept-id": f"G{abs(hash(self.name))}-OB_CLOUD", "provider-id": "OB_CLOUD"},
            "umm": umm,
        }


@dataclass
class Fault:
    """What happens once instead of a proper answer."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes sent before the connection breaks
    body: bytes | None = None  # sent instead
    location: str | None = None  # redirected to


@dataclass
class Request:
    """What somebody asked for."""

    host: str
    path: str
    headers: dict[str, str]


class Archive:
    """What the archive holds, what goes wrong in it, and what it was asked."""

    def __init__(self) -> None:
        self.granules: list[Granule] = []
        self.faults: dict[str, list[Fault]] = {}  # by file name, or "catalogue"
        self.requests: list[Request] = []
        self.ranges = True
        self.hold: str | None = None  # file of which two thirds are sent, and the rest when `release` is set
        self.held, self.release = Event(), Event()
        self.meeting: Barrier | None = None  # of files that are to be under way at the same time
        self.lock = Lock()

    def add(self, name: str, **changes: Any) -> Granule:
        self.granules.append(Granule(name=name, **changes))
        return self.granules[-1]

    def fail(self, what: str, *faults: Fault) -> None:
        self.faults.setdefault(what, []).extend(faults)

    def fault(self, what: str) -> Fault | None:
        with self.lock:
            waiting = self.faults.get(what, [])
            return waiting.pop(0) if waiting else None

    def asked(self, host: str) -> list[Request]:
        return [request for request in self.requests if request.host == host]

    def downloads(self) -> list[str]:
        """Names of files that were asked for, once for each request."""
        return [request.path.rpartition("/")[2] for request in self.asked(FILES)]

    def search(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """The part of CMR's granule search that the client uses."""
        found = [granule for granule in self.granules if granule.short_name == query["short_name"][0]]
        begin, end = query["temporal[]"][0].split(",")
        found = [granule for granule in found if begin <= granule.start <= end]
        if "bounding_box" in query:
            west, south, east, north = map(float, query["bounding_box"][0].split(","))
            assert west <= east
            found = [
                granule
                for granule in found
                if granule.box[0] <= east
                and granule.box[2] >= west
                and granule.box[1] <= north
                and granule.box[3] >= south
            ]
        if "cloud_cover" in query:
            low, high = map(float, query["cloud_cover"][0].split(","))
            found = [
                one for one in found if one.cloud_percent is not None and low <= one.cloud_percent <= high
            ]
        if "version" in query:
            wanted = query["version"][0]
            found = [one for one in found if one.record()["umm"]["CollectionReference"]["Version"] == wanted]
        if "readable_granule_name" in query:
            assert query["options[readable_granule_name][pattern]"] == ["true"]
            pattern = query["readable_granule_name"][0]
            found = [one for one in found if fnmatch.fnmatchcase(f"{one.short_name}_{one.name}", pattern)]
        return [granule.record() for granule in found]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S
    disable_nagle_algorithm = True  # else each answer waits for 40 ms
    archive: Archive

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        self.archive.requests.append(Request(host, self.path, dict(self.headers)))
        respond = {
            CATALOGUE: self._catalogue,
            LOGIN: self._login,
            FILES: self._files,
            STORE: self._store,
            ELSEWHERE: self._store,
        }
        respond[host]()

    do_POST = do_GET  # noqa: N815

    def _send(self, status: int, body: bytes = b"", cut: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def _send_fault(self, fault: Fault) -> None:
        if fault.location is not None:
            self._send(302, Location=fault.location)
        else:
            self._send(fault.status or 200, fault.body or b"no", **fault.headers)

    def _catalogue(self) -> None:
        if fault := self.archive.fault("catalogue"):
            self._send_fault(fault)
            return
        where = urlsplit(self.path)
        assert where.path == "/search/granules.umm_json"
        found = self.archive.search(parse_qs(where.query))
        first = int(self.headers.get("CMR-Search-After", 0))
        last = first + int(parse_qs(where.query)["page_size"][0])
        body = json.dumps({"hits": len(found), "items": found[first:last]}).encode()
        more = {"CMR_Search_After": str(last)} if last < len(found) else {}
        self._send(200, body, Content_Type="application/json", CMR_Hits=str(len(found)), **more)

    def _login(self) -> None:
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.path != "/api/users/find_or_create_token":
            self._send(200, b"<html>Earthdata Login</html>", Content_Type="text/html; charset=utf-8")
        elif self.headers.get("Authorization") != basic:
            self._send(401, b'{"error": "invalid_credentials"}')
        else:
            token = {"access_token": TOKEN, "token_type": "Bearer", "expiration_date": "10/03/2024"}
            self._send(200, json.dumps(token).encode())

    def _files(self) -> None:
        name = self.path.rpartition("/")[2]
        waiting = self.archive.faults.get(name)
        if waiting and waiting[0].cut is None and waiting[0].body is None:
            self._send_fault(waiting.pop(0))
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(302, Location=f"https://{LOGIN}/oauth/authorize?client_id=tea&state={name}")
        elif not any(granule.name == name for granule in self.archive.granules):
            self._send(404)
        else:
            self._send(303, Location=f"https://{STORE}/{name}?X-Amz-Signature={SIGNATURE}")

    def _store(self) -> None:
        name = urlsplit(self.path).path.rpartition("/")[2]
        if "Authorization" in self.headers:
            self._send(400, b"only one auth mechanism allowed")
            return
        body = next(granule.body for granule in self.archive.granules if granule.name == name)
        fault = self.archive.fault(name) or Fault()
        body = body if fault.body is None else fault.body
        if self.archive.meeting is not None:
            self.archive.meeting.wait(timeout=PATIENCE_S)
        if name == self.archive.hold:
            self._hold(body)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or not self.archive.ranges:
            self._send(200, body, fault.cut, Content_Type="application/x-netcdf")
        elif int(asked[1]) >= len(body):
            self._send(416, Content_Range=f"bytes */{len(body)}")
        else:
            first = int(asked[1])
            spans = f"bytes {first}-{len(body) - 1}/{len(body)}"
            self._send(206, body[first:], fault.cut, Content_Range=spans)

    def _hold(self, body: bytes) -> None:
        """Send two thirds, tell the test, and break off when it says so."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 2 * len(body) // 3])
        self.wfile.flush()
        self.archive.held.set()
        self.archive.release.wait(timeout=PATIENCE_S)
        self.close_connection = True


@cache
def certificates() -> tuple[bytes, ssl.SSLContext]:
    """Certificate of an authority, and what a server with a certificate by it needs."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    return authority.cert_pem.bytes(), context


@contextmanager
def running_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive that answers, and a client that finds it and trusts its certificate."""
    archive = Archive()
    trusted, context = certificates()
    (folder / "authority.pem").write_bytes(trusted)
    handler = type("Handler", (_Handler,), {"archive": archive})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # The handshake is left to the thread of the request, so that a broken one can't hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # connections that a test breaks

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        if address[0] not in HOSTS or address[1] != 443:
            raise ConnectionRefusedError(f"the test does not let anybody connect to {address}")
        return socket.create_connection(server.server_address[:2], timeout=PATIENCE_S)

    monkeypatch.setattr(connection, "create_connection", connect)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "authority.pem"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
