import errno
import hashlib
import json
import logging
import os
import shutil
import signal
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spectm.data.catalog import fetch as fetching
from spectm.data.catalog import login as logins
from spectm.data.catalog import transfer
from spectm.data.catalog.fetch import FetchReport, fetch, missing, missing_bytes, tidy
from spectm.data.catalog.login import Login, login
from spectm.data.catalog.manifest import MANIFEST, read_manifest
from spectm.data.catalog.records import file_of_record
from spectm.data.catalog.search import Found, named_product
from spectm.data.catalog.transfer import partial_path
from spectm.errors import FetchError, LoginError
from tests.data.archive import (
    ELSEWHERE,
    FILES,
    LOGIN,
    PASSWORD,
    SIGNATURE,
    STORE,
    TOKEN,
    USER,
    Archive,
    Fault,
    Granule,
    granule_bytes,
    running_archive,
)
from tests.processes import PATIENCE_S

L2 = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc"
OTHER = "PACE_OCI.20240805T182401.L2.OC_AOP.V3_0.nc"
NRT = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.NRT.nc"
SECRETS = (TOKEN, PASSWORD, SIGNATURE)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    with running_archive(tmp_path, monkeypatch) as archive:
        yield archive


@pytest.fixture
def granted(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Login:
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    return login(ask=False)


def described(granule: Granule, product: str = "l2-aop") -> Found:
    found = file_of_record(granule.record(), named_product(product), granule.short_name)
    assert found is not None
    return found


def refused(report: FetchReport) -> str:
    """The one reason for the one file that failed."""
    (reason,) = report.failed.values()
    assert not any(secret in reason for secret in SECRETS)
    return reason


def write_netrc(tmp_path: Path, password: str = PASSWORD) -> None:
    path = tmp_path / "netrc"
    path.write_text(f"machine {LOGIN} login {USER} password {password}\n")
    path.chmod(0o600)


class Waits(list[float]):
    """Notes how long it was asked to wait, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


# Login


@pytest.mark.slow
def test_the_token_of_the_environment_comes_first(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, "wrong")
    monkeypatch.setenv("EARTHDATA_USERNAME", "nobody")
    monkeypatch.setenv("EARTHDATA_PASSWORD", "nothing")
    monkeypatch.setenv("EARTHDATA_TOKEN", f" {TOKEN}\n")
    granted = login(ask=False)
    assert (granted.method, granted.token) == ("EARTHDATA_TOKEN", TOKEN)
    assert not archive.requests
    assert TOKEN not in repr(granted)


@pytest.mark.slow
def test_name_and_password_of_the_environment_come_next(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, "wrong")
    monkeypatch.setenv("EARTHDATA_USERNAME", USER)
    monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)
    granted = login(ask=False)
    assert (granted.method, granted.token) == ("EARTHDATA_USERNAME and EARTHDATA_PASSWORD", TOKEN)


def test_netrc_comes_after_the_environment(archive: Archive, tmp_path: Path) -> None:
    write_netrc(tmp_path)
    granted = login(ask=True)
    assert (granted.method, granted.token) == (f"the netrc file {tmp_path / 'netrc'}", TOKEN)
    assert {request.host for request in archive.requests} == {LOGIN}


def test_a_terminal_is_asked_last(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: USER)
    monkeypatch.setattr("getpass.getpass", lambda **_: PASSWORD)
    granted = login(ask=True)
    assert (granted.method, granted.token) == ("name and password", TOKEN)


def test_without_a_terminal_nobody_is_asked(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    with pytest.raises(LoginError) as none:
        login(ask=False)
    message = str(none.value)
    assert message.startswith("wanted Earthdata credentials, found none (environment: ")
    assert "netrc: No .netrc found at" in message
    assert "set EARTHDATA_TOKEN" in message


def test_refused_credentials_end_the_login(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, "secret-wrong")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    with pytest.raises(LoginError, match=r"with the netrc file .*netrc, found that it was refused") as error:
        login(ask=True)
    assert "secret-wrong" not in str(error.value)


def test_an_empty_token(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "  ")
    with pytest.raises(LoginError, match="wanted a token from EARTHDATA_TOKEN, found an empty one"):
        login(ask=False)


def test_no_answer_from_the_login_host(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(FetchError, match=f"found no answer from {LOGIN} .SSLError"):
        login(ask=False)


# A run without trouble


@pytest.mark.slow
def test_files_and_what_is_recorded_of_them(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER, body=granule_bytes(seed=1)))]
    folder = tmp_path / "deep" / "granules"
    report = fetch(found, folder, login=granted)
    assert sorted(report.fetched) == [L2, OTHER]
    assert (report.at_hand, report.replaced, report.failed) == ([], [], {})
    assert (folder / L2).read_bytes() == granule_bytes()
    assert (folder / OTHER).read_bytes() == granule_bytes(seed=1)
    assert sorted(path.name for path in folder.iterdir()) == [L2, OTHER, MANIFEST]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["format"], manifest["format_version"]) == ("spectm-manifest", 1)
    entry = manifest["granules"][0]
    fetched, modified_ns = datetime.fromisoformat(entry.pop("fetched")), entry.pop("modified_ns")
    assert fetched.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - fetched) < timedelta(minutes=1)
    assert modified_ns == (folder / L2).stat().st_mtime_ns
    assert entry == {
        "granule": L2,
        "product": "l2-aop",
        "short_name": "PACE_OCI_L2_AOP",
        "version": "3.0",
        "status": "final",
        "start": "2024-08-04T17:53:05Z",
        "url": f"https://{FILES}/ob-cumulus-prod-public/{L2}",
        "size_bytes": len(granule_bytes()),
        "sha256": hashlib.sha256(granule_bytes()).hexdigest(),
        "archive_checksum": f"MD5:{hashlib.md5(granule_bytes()).hexdigest()}",
        "archive_checksum_compared": True,
    }


def test_the_manifest_read_back(archive: Archive, granted: Login, tmp_path: Path) -> None:
    fetch([described(archive.add(L2))], tmp_path, login=granted)
    before = (tmp_path / MANIFEST).read_bytes()
    manifest = read_manifest(tmp_path)
    (entry,) = manifest.entries.values()
    manifest.record(entry)
    assert (tmp_path / MANIFEST).read_bytes() == before


def test_files_are_fetched_at_the_same_time(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.meeting = threading.Barrier(2)  # breaks unless both are under way
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    assert len(fetch(found, tmp_path, login=granted, workers=2).fetched) == 2


@pytest.mark.parametrize(
    ("product", "kind", "name"),
    [
        ("l3m-rrs-8d", "Rrs", "PACE_OCI.20240804_20240811.L3m.8D.AOP.V3_2.4km.nc"),
        ("l3m-sfrefl-day", "rhos", "PACE_OCI.20240804.L3m.DAY.SFREFL.V3_1.rhos.4km.nc"),
    ],
)
def test_level_3(
    archive: Archive, granted: Login, tmp_path: Path, product: str, kind: str, name: str
) -> None:
    short_name = named_product(product).short_names[0]
    granule = archive.add(name, short_name=short_name, body=granule_bytes(kind))
    assert fetch([described(granule, product)], tmp_path, login=granted).fetched == [name]


def test_a_second_run_asks_for_nothing(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    fetch(found, tmp_path, login=granted)
    archive.requests.clear()
    assert missing(found, tmp_path) == []
    assert fetch(found, tmp_path, login=granted).at_hand == [L2, OTHER]
    assert not archive.requests


def damaged(path: Path) -> None:
    """One bit, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [Path.unlink, damaged, lambda path: os.truncate(path, 1000)],
    ids=["removed", "one bit", "truncated"],
)
def test_what_was_spoiled_since_is_fetched_again(
    archive: Archive, granted: Login, tmp_path: Path, spoil: Any
) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    fetch(found, tmp_path, login=granted)
    spoil(tmp_path / L2)
    assert missing(found, tmp_path) == found[:1]
    archive.requests.clear()
    assert fetch(found, tmp_path, login=granted).fetched == [L2]
    assert archive.downloads() == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()


def test_verify_finds_damage_that_left_the_time_stamp(
    archive: Archive, granted: Login, tmp_path: Path
) -> None:
    found = [described(archive.add(L2))]
    fetch(found, tmp_path, login=granted)
    stamp = (tmp_path / L2).stat()
    damaged(tmp_path / L2)
    os.utime(tmp_path / L2, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert missing(found, tmp_path) == []
    assert missing(found, tmp_path, verify=True) == found
    assert fetch(found, tmp_path, login=granted, verify=True).fetched == [L2]


def test_a_copied_folder_is_read_once(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [described(archive.add(L2))]
    fetch(found, tmp_path, login=granted)
    os.utime(tmp_path / L2, ns=(1, 1))
    assert fetch(found, tmp_path, login=granted).at_hand == [L2]
    monkeypatch.setattr("spectm.data.catalog.manifest._digests", lambda *_: pytest.fail("read again"))
    assert missing(found, tmp_path) == []


def test_whole_files_without_a_record_are_recorded(archive: Archive, granted: Login, tmp_path: Path) -> None:
    """The manifest was lost, or the program ended between renaming a file and recording it."""
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    fetch(found, tmp_path, login=granted)
    (tmp_path / MANIFEST).unlink()
    damaged(tmp_path / OTHER)
    archive.requests.clear()
    steps: list[int] = []
    report = fetch(found, tmp_path, login=granted, advance=steps.append)
    assert (report.at_hand, report.fetched) == ([L2], [OTHER])
    assert archive.downloads() == [OTHER]
    assert sum(steps) == 2 * len(granule_bytes())
    assert set(read_manifest(tmp_path).entries) == {L2, OTHER}


def test_a_file_made_again_under_its_name_is_fetched_again(
    archive: Archive, granted: Login, tmp_path: Path
) -> None:
    granule = archive.add(L2)
    fetch([described(granule)], tmp_path, login=granted)
    granule.body = granule_bytes(seed=3)
    assert fetch([described(granule)], tmp_path, login=granted).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes(seed=3)


def test_progress_adds_up(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    archive.fail(L2, Fault(cut=200_000), Fault(body=bytes(len(granule_bytes()))))
    archive.fail(OTHER, Fault(body=granule_bytes(seed=1)))
    steps: list[int] = []
    ended: list[str] = []
    fetch(
        found, tmp_path, login=granted, advance=steps.append, finished=ended.append, pause=Waits(), workers=1
    )
    assert sum(steps) == missing_bytes(found, tmp_path / "empty") == 2 * len(granule_bytes())
    assert sorted(ended) == [L2, OTHER]


# Who gets the token


def test_only_the_host_of_the_file_gets_the_token(archive: Archive, granted: Login, tmp_path: Path) -> None:
    fetch([described(archive.add(L2))], tmp_path, login=granted)
    (asked,), (stored,) = archive.asked(FILES), archive.asked(STORE)
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in stored.headers
    assert len(archive.requests) == 2


def test_a_redirect_elsewhere_gets_none(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(location=f"https://{ELSEWHERE}/{L2}"))
    assert fetch([described(archive.add(L2))], tmp_path, login=granted).fetched == [L2]
    (elsewhere,) = archive.asked(ELSEWHERE)
    assert "Authorization" not in elsewhere.headers


def test_a_host_that_is_not_nasas_gets_none(archive: Archive, granted: Login, tmp_path: Path) -> None:
    granule = archive.add(L2, url=f"https://{ELSEWHERE}/{L2}")
    assert fetch([described(granule)], tmp_path, login=granted).fetched == [L2]
    (elsewhere,) = archive.asked(ELSEWHERE)
    assert "Authorization" not in elsewhere.headers


def test_netrc_is_for_the_login_host_alone(archive: Archive, tmp_path: Path) -> None:
    write_netrc(tmp_path)
    with (tmp_path / "netrc").open("a") as file:
        file.write("default login somebody password anything\n")
    fetch([described(archive.add(L2))], tmp_path, login=login(ask=False))
    (asked,), (stored,) = archive.asked(FILES), archive.asked(STORE)
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in stored.headers


def test_no_way_around_https(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(location=f"http://{STORE}/{L2}"))
    reason = refused(fetch([described(archive.add(L2))], tmp_path, login=granted))
    assert "wanted https all the way" in reason
    assert not archive.asked(STORE)


def test_redirects_in_a_circle(archive: Archive, granted: Login, tmp_path: Path) -> None:
    there = f"https://{FILES}/{L2}"
    archive.fail(L2, *[Fault(location=there)] * 20)
    assert "more than 10 redirects" in refused(fetch([described(archive.add(L2))], tmp_path, login=granted))


# Trouble, one kind each


def test_401_says_how_to_log_in_and_ends_the_run(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    archive.fail(L2, Fault(status=401))
    report = fetch(found, tmp_path, login=granted, workers=1)
    assert report.failed[L2] == (
        f"wanted {L2}, found that the archive refuses the login by EARTHDATA_TOKEN (status 401). Make a "
        f"token at https://{LOGIN} (free account, Generate Token) and set EARTHDATA_TOKEN, or put 'machine "
        f"{LOGIN} login NAME password PASSWORD' into ~/.netrc. Tokens expire after 60 days."
    )
    assert report.failed[OTHER] == "not tried, or not to its end, after that"
    assert archive.downloads() == [L2]


def test_an_expired_token_leads_to_the_login_page(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive sends a browser there, with status 200: not a file."""
    monkeypatch.setenv("EARTHDATA_TOKEN", "secret-old")
    report = fetch([described(archive.add(L2))], tmp_path, login=login(ask=False))
    reason = refused(report)
    assert "refuses the login by EARTHDATA_TOKEN (status 200)" in reason
    assert "secret-old" not in reason
    assert archive.requests[-1].host == LOGIN
    assert "Authorization" not in archive.requests[-1].headers
    assert list(tmp_path.glob("*.nc")) == []


def test_403_points_to_the_licence(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(status=403))
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    report = fetch(found, tmp_path, login=granted)
    assert report.fetched == [OTHER]
    assert "(status 403). Log in at https://urs.earthdata.nasa.gov/profile, accept the lic" in refused(report)


def test_404_does_not_stop_the_others(archive: Archive, granted: Login, tmp_path: Path) -> None:
    gone = described(archive.granules.pop() if archive.add(L2) else Granule(L2))
    report = fetch([gone, described(archive.add(OTHER))], tmp_path, login=granted, workers=1)
    assert report.fetched == [OTHER]
    assert "does not have it any more (status 404). Search again" in refused(report)
    assert archive.downloads() == [L2, OTHER]  # once


def test_429_waits_as_long_as_asked(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(status=429, headers={"Retry-After": "7"}), Fault(status=429))
    waits = Waits()
    assert fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits).fetched == [L2]
    assert waits == [7, 2]


def test_429_for_too_long(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(status=429, headers={"Retry-After": "3600"}))
    waits = Waits()
    report = fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits)
    assert "found status 429 1 time in a row and a wish to wait 3600 s" in refused(report)
    assert waits == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_503_is_tried_again(archive: Archive, granted: Login, tmp_path: Path, status: int) -> None:
    archive.fail(L2, Fault(status=status), Fault(status=status))
    waits = Waits()
    assert fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits).fetched == [L2]
    assert waits == [1, 2]


def test_503_for_good_is_given_up(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, *[Fault(status=503)] * 9)
    waits = Waits()
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    report = fetch(found, tmp_path, login=granted, pause=waits)
    assert "found status 503 5 times in a row. Run the same command later" in refused(report)
    assert waits == [1, 2, 4, 8]
    assert report.fetched == [OTHER]


def test_a_status_nobody_expected(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(status=418))
    assert "found status 418" in refused(fetch([described(archive.add(L2))], tmp_path, login=granted))


def ranges(archive: Archive) -> list[str | None]:
    return [request.headers.get("Range") for request in archive.asked(STORE)]


def test_a_truncated_body_is_resumed(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.fail(L2, Fault(cut=200_000))
    waits = Waits()
    assert fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()
    assert ranges(archive) == [None, "bytes=196608-"]  # three chunks of 65,536
    assert waits == [1]


def test_a_connection_that_breaks_often_but_gets_on(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 10_000)
    archive.fail(L2, *[Fault(cut=25_000)] * 9)
    waits = Waits()
    assert fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()
    assert waits == [1] * 9


def test_a_connection_that_never_gets_further(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.ranges = False
    archive.fail(L2, *[Fault(cut=200_000)] * 99)
    waits = Waits()
    report = fetch([described(archive.add(L2))], tmp_path, login=granted, pause=waits)
    assert "found a broken connection (ChunkedEncodingError) 5 times in a row" in refused(report)
    assert waits == [1, 2, 4, 8]


def test_a_later_run_continues(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = described(archive.add(L2))
    partial_path(tmp_path, found).write_bytes(granule_bytes()[:123_456])
    assert missing_bytes([found], tmp_path) == len(granule_bytes()) - 123_456
    assert fetch([found], tmp_path, login=granted).fetched == [L2]
    assert ranges(archive) == ["bytes=123456-"]
    assert (tmp_path / L2).read_bytes() == granule_bytes()


def test_without_ranges_it_begins_again(archive: Archive, granted: Login, tmp_path: Path) -> None:
    archive.ranges = False
    found = described(archive.add(L2))
    partial_path(tmp_path, found).write_bytes(granule_bytes()[:123_456])
    steps: list[int] = []
    assert fetch([found], tmp_path, login=granted, advance=steps.append).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()
    assert sum(steps) == len(granule_bytes())


@pytest.mark.parametrize("surplus", [0, 1000])
def test_a_partial_file_with_all_or_too_much(
    archive: Archive, granted: Login, tmp_path: Path, surplus: int
) -> None:
    found = described(archive.add(L2))
    partial_path(tmp_path, found).write_bytes(granule_bytes() + bytes(surplus))
    assert fetch([found], tmp_path, login=granted).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()
    assert ranges(archive) == ([] if surplus == 0 else [None])


def test_a_partial_file_longer_than_an_unknown_size(archive: Archive, granted: Login, tmp_path: Path) -> None:
    """Only the server can tell, with status 416."""
    found = described(archive.add(L2, size=None))
    partial_path(tmp_path, found).write_bytes(granule_bytes() + bytes(1000))
    assert fetch([found], tmp_path, login=granted, pause=Waits()).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()


def test_bytes_of_an_older_file_are_not_continued(archive: Archive, granted: Login, tmp_path: Path) -> None:
    granule = archive.add(L2)
    partial_path(tmp_path, described(granule)).write_bytes(granule_bytes()[:123_456])
    granule.body = granule_bytes(seed=2)
    assert fetch([described(granule)], tmp_path, login=granted).fetched == [L2]
    assert ranges(archive) == [None]


def test_without_size_and_checksum_nothing_is_continued(
    archive: Archive, granted: Login, tmp_path: Path
) -> None:
    found = described(archive.add(L2, size=None, checksum=None))
    partial_path(tmp_path, found).write_bytes(granule_bytes()[:123_456])
    assert fetch([found], tmp_path, login=granted).fetched == [L2]
    assert ranges(archive) == [None]
    entry = read_manifest(tmp_path).entries[L2]
    assert (entry.archive_checksum, entry.archive_checksum_compared) == ("", False)


def test_a_wrong_checksum_is_refused_the_second_time(
    archive: Archive, granted: Login, tmp_path: Path
) -> None:
    found = described(archive.add(L2))
    archive.fail(L2, *[Fault(body=granule_bytes(seed=5))] * 9)  # a whole file, but another
    report = fetch([found], tmp_path, login=granted)
    assert f"wanted the MD5 checksum {found.checksum} of {L2}" in refused(report)
    assert archive.downloads() == [L2, L2]
    assert [path.name for path in tmp_path.iterdir()] == ["authority.pem"]


def test_a_wrong_checksum_once_is_mended(archive: Archive, granted: Login, tmp_path: Path) -> None:
    found = described(archive.add(L2))
    archive.fail(L2, Fault(body=granule_bytes(seed=5)))
    assert fetch([found], tmp_path, login=granted).fetched == [L2]
    assert (tmp_path / L2).read_bytes() == granule_bytes()


@pytest.mark.parametrize(
    ("algorithm", "value", "compared"),
    [
        ("SHA-1", hashlib.sha1(granule_bytes()).hexdigest(), True),
        ("SHA-256", hashlib.sha256(granule_bytes()).hexdigest().upper(), True),
        ("SHA-384", hashlib.sha384(granule_bytes()).hexdigest(), True),
        ("SHA-512", hashlib.sha512(granule_bytes()).hexdigest(), True),
        ("Adler-32", f"{zlib.adler32(granule_bytes()):08x}", True),
        ("SM3", "whatever", False),
    ],
)
def test_checksums_of_other_kinds(
    archive: Archive, granted: Login, tmp_path: Path, algorithm: str, value: str, compared: bool
) -> None:
    found = described(archive.add(L2, checksum={"Algorithm": algorithm, "Value": value}))
    assert fetch([found], tmp_path, login=granted).fetched == [L2]
    assert read_manifest(tmp_path).entries[L2].archive_checksum_compared is compared


@pytest.mark.parametrize("algorithm", ["SHA-1", "SHA-256", "SHA-384", "SHA-512", "Adler-32"])
def test_each_kind_of_checksum_can_be_wrong(
    archive: Archive, granted: Login, tmp_path: Path, algorithm: str
) -> None:
    found = described(archive.add(L2, checksum={"Algorithm": algorithm, "Value": "0"}))
    assert f"wanted the {algorithm.upper()} checksum 0" in refused(fetch([found], tmp_path, login=granted))


@pytest.mark.parametrize(
    ("body", "size", "message"),
    [
        (granule_bytes(), 5, f"wanted 5 bytes of {L2}, found {len(granule_bytes()):,}"),
        (b"x" * 5000, -1, "could not open it"),
        (granule_bytes()[:-1000], -1, "could not open it"),  # the archive's own copy lost its end
        (granule_bytes("Rrs"), -1, r"found ['Rrs', 'lat', 'lon'] without geophysical_data/Rrs, geophysical"),
    ],
    ids=["size", "no HDF5", "lost end", "another product"],
)
def test_a_file_that_is_not_whole(
    archive: Archive, granted: Login, tmp_path: Path, body: bytes, size: int, message: str
) -> None:
    found = described(archive.add(L2, body=body, size=size))
    report = fetch([found], tmp_path, login=granted)
    assert message in refused(report)
    assert [path.name for path in tmp_path.iterdir()] == ["authority.pem"]


def test_a_certificate_that_is_not_trusted(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    reason = refused(fetch([described(archive.add(L2))], tmp_path, login=granted))
    assert "certificate that is not trusted" in reason
    assert not archive.requests


# Trouble on this side


def test_too_little_space_is_said_before_beginning(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [described(archive.add(L2, size=3_000_000)), described(archive.add(OTHER, size=2_000_000))]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 4_999_999))
    with pytest.raises(FetchError, match="wanted 5,000,000 bytes for 2 files, found 4,999,999 bytes free"):
        fetch(found, tmp_path / "new" / "folder", login=granted)
    assert not archive.requests
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_ends_the_run(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.os, "fsync", full)
    report = fetch(found, tmp_path, login=granted, workers=1)
    assert report.failed[L2].startswith(f"wanted 0 bytes more for {L2}, found the disk of {tmp_path} full")
    assert "bytes free). Make room; the same command continues." in report.failed[L2]
    assert report.failed[OTHER] == "not tried, or not to its end, after that"
    assert archive.downloads() == [L2]


def test_a_folder_that_cant_be_made(archive: Archive, granted: Login, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"wanted a folder for the files, found .* Choose another --out"):
        fetch([described(archive.add(L2))], tmp_path / "file" / "folder", login=granted)


def test_a_file_that_cant_be_written(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(transfer.os, "fsync", denied)
    report = fetch([described(archive.add(L2))], tmp_path, login=granted)
    assert f"wanted to write {L2} into {tmp_path}, found Permission denied" in refused(report)


def test_ctrl_c_leaves_files_that_can_be_continued(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    archive.hold = OTHER
    recorded = threading.Event()

    class Stop(threading.Event):
        def set(self) -> None:
            super().set()
            archive.release.set()  # the worker, waiting for bytes, sees that it is to end

    def press() -> None:
        if recorded.wait(timeout=PATIENCE_S) and archive.held.wait(timeout=PATIENCE_S):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(fetching, "Event", Stop)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt, match="after 1 of 2 files; the same command continues"):
            fetch(found, tmp_path, login=granted, workers=1, finished=lambda _: recorded.set())
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert set(read_manifest(tmp_path).entries) == {L2}
    held = partial_path(tmp_path, found[1]).stat().st_size
    assert held >= 2**16
    archive.hold = None
    archive.requests.clear()
    assert fetch(found, tmp_path, login=granted).fetched == [OTHER]
    assert ranges(archive) == [f"bytes={held}-"]
    assert (tmp_path / OTHER).read_bytes() == granule_bytes()


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(granted: Login, tmp_path: Path, workers: int) -> None:
    with pytest.raises(FetchError, match=f"at least one worker, found {workers}"):
        fetch([], tmp_path, login=granted, workers=workers)


# Near real time and final


def near_real_time(archive: Archive, name: str = NRT) -> Found:
    return described(archive.add(name, short_name="PACE_OCI_L2_AOP_NRT"), "l2-aop-nrt")


def test_the_final_file_replaces_its_twin(archive: Archive, granted: Login, tmp_path: Path) -> None:
    other = OTHER.replace(".nc", ".NRT.nc")
    fetch([near_real_time(archive), near_real_time(archive, other)], tmp_path, login=granted)
    assert read_manifest(tmp_path).entries[NRT].status == "near-real-time"
    final = archive.add(L2.replace("V3_0", "V3_1"))  # the version may have changed meanwhile
    report = fetch([described(final)], tmp_path, login=granted)
    assert report.replaced == [NRT]
    assert not (tmp_path / NRT).exists()
    assert set(read_manifest(tmp_path).entries) == {final.name, other}
    assert (tmp_path / other).exists()


def test_a_twin_stays_until_the_final_file_is_whole(archive: Archive, granted: Login, tmp_path: Path) -> None:
    fetch([near_real_time(archive)], tmp_path, login=granted)
    archive.fail(L2, *[Fault(body=b"not whole")] * 2)
    final = described(archive.add(L2))
    assert fetch([final], tmp_path, login=granted).replaced == []
    assert (tmp_path / NRT).exists()
    assert set(read_manifest(tmp_path).entries) == {NRT}


def test_a_twin_is_removed_only_after_the_final_file_is_recorded(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch([near_real_time(archive)], tmp_path, login=granted)
    final = described(archive.add(L2))
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.name == NRT:
            assert L2 in (tmp_path / MANIFEST).read_text()
            raise MemoryError
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(MemoryError):
            fetch([final], tmp_path, login=granted)
    assert (tmp_path / NRT).exists()
    assert missing([final], tmp_path) == []
    assert tidy([final], tmp_path) == [NRT]  # the next run makes up for it
    assert not (tmp_path / NRT).exists()


# The manifest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"could not read .*manifest.json \(JSONDecodeError"),
        ("[]", "could not read"),
        ('{"format": "spectm-manifest", "format_version": 1, "granules": [{"granule": "x"}]}', "KeyError"),
        ('{"format": "spectm-manifest", "format_version": 2, "granules": []}', "found spectm-manifest 2 in"),
        ('{"format": "other", "format_version": 1, "granules": []}', "found other 1 in"),
    ],
)
def test_a_manifest_of_something_else(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(FetchError, match=message):
        missing([], tmp_path)


def test_a_manifest_that_cant_be_written_ends_the_run(
    archive: Archive, granted: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(FetchError, match=r"wanted to write .*manifest.json, found No space left on dev"):
            fetch([described(archive.add(L2))], tmp_path, login=granted)
    assert fetch([described(archive.add(L2))], tmp_path, login=granted).at_hand == [L2]


# Secrets


def test_no_secret_in_logs_or_files(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even with the client talking: only the library below it logs the signed address of a redirect."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="urllib3")
    write_netrc(tmp_path)
    archive.fail(L2, Fault(cut=200_000), Fault(status=503))
    archive.fail(OTHER, *[Fault(cut=1000)] * 9)
    granted = login(ask=False)
    found = [described(archive.add(L2)), described(archive.add(OTHER))]
    report = fetch(found, tmp_path / "out", login=granted, pause=Waits())
    assert (report.fetched, list(report.failed)) == ([L2], [OTHER])
    written = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    captured = capfd.readouterr()
    said = "".join([caplog.text, captured.out, captured.err, repr(report), repr(granted)])
    for secret in SECRETS:
        assert secret not in said
        assert not any(secret.encode() in content for content in written)


def test_the_token_is_trusted_to_nasas_hosts() -> None:
    assert all(domain.startswith(".") and domain.endswith(".nasa.gov") for domain in logins.TRUSTED_DOMAINS)
