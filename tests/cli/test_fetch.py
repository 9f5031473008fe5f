import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spectm.cli import main as cli
from spectm.cli.main import main
from spectm.data.catalog.manifest import MANIFEST, read_manifest
from tests.data.archive import LOGIN, PASSWORD, SIGNATURE, TOKEN, USER, Archive, Fault, running_archive

L2 = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.nc"
OTHER = "PACE_OCI.20240805T182401.L2.OC_AOP.V3_1.nc"
NRT = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.NRT.nc"

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    (tmp_path / "home").mkdir()
    with running_archive(tmp_path / "home", monkeypatch) as archive:
        yield archive


@pytest.fixture
def fetch(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command for one week of August; exit code, output and errors, in none of which is a secret."""
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setitem(cli.COMMANDS, "fetch", "fetch files of NASA's archive for a region and a period")

    def run(*words: str, product: str = "l2-aop") -> tuple[int, str, str]:
        asked = ["--product", product, "--region", "lake-erie-west", "--out", str(tmp_path / "out")]
        code = main(["fetch", *asked, "--start", "2024-08-01", "--end", "2024-08-07", *words])
        said = capsys.readouterr()
        kept = "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "out").glob("*"))
        for secret in (TOKEN, PASSWORD, SIGNATURE):
            assert secret not in said.out + said.err + kept
        return code, said.out, said.err

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Somebody who answers; the questions put to them."""

    def answering(*answers: str) -> list[str]:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        asked: list[str] = []
        left = list(answers)

        def answer(question: str) -> str:
            asked.append(question)
            if not left:
                raise EOFError
            return left.pop(0)

        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("builtins.input", answer)
        return asked

    return answering


@pytest.mark.slow
def test_table_login_and_files(archive: Archive, fetch: Command, tmp_path: Path) -> None:
    archive.add(L2, size=1_500_000_000)
    archive.add(OTHER, size=250_000_000)
    code, out, _ = fetch("--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "product  version  status  files  GB",
        "-------  -------  ------  -----  ----",
        "l2-aop   3.1      final   2      1.75",
        "",
        "at hand: 0; to fetch: 2 files, 1.75 GB",
    ]
    assert not (tmp_path / "out").exists()
    for granule in archive.granules:
        granule.size = len(granule.body)
    code, out, err = fetch("--yes")
    assert code == 0
    assert "login: EARTHDATA_TOKEN\nfetched: 2; failed: 0\n" in out
    assert out.endswith(f"wrote {tmp_path / 'out' / MANIFEST}\n")
    assert "fetching, 2 of 2 files done: 100%" in err
    assert set(read_manifest(tmp_path / "out").entries) == {L2, OTHER}


@pytest.mark.slow
def test_a_second_run_says_that_nothing_is_to_be_fetched(
    archive: Archive, fetch: Command, tmp_path: Path
) -> None:
    archive.add(L2)
    fetch("--yes")
    archive.requests.clear()
    code, out, err = fetch()  # not even a question
    assert (code, err) == (0, "")
    assert (
        f"at hand: 1; to fetch: 0 files, 0 GB\nnothing to fetch: all are at hand in {tmp_path / 'out'}\n"
        in out
    )
    assert archive.downloads() == []


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y", "Yes "])
def test_a_question_on_a_terminal(
    archive: Archive, fetch: Command, terminal: Callable[..., list[str]], tmp_path: Path, answer: str
) -> None:
    archive.add(L2)
    asked = terminal(answer)
    assert fetch()[0] == 0
    assert asked == [
        f"Fetch 1 file, {len(archive.granules[0].body) / 1e9:.3g} GB, into {tmp_path / 'out'}? [y/N] "
    ]
    assert archive.downloads() == [L2]


@pytest.mark.slow
@pytest.mark.parametrize("answers", [("n",), ("",), ()], ids=["no", "enter", "end"])
def test_no_is_an_answer(
    archive: Archive, fetch: Command, terminal: Callable[..., list[str]], answers: tuple[str, ...]
) -> None:
    archive.add(L2)
    terminal(*answers)
    code, out, _ = fetch()
    assert (code, out.splitlines()[-1]) == (0, "nothing fetched")
    assert archive.downloads() == []


def test_no_worker_is_refused_before_anything_is_asked(archive: Archive, fetch: Command) -> None:
    code, _, said = fetch("--workers", "0", "--dry-run")
    assert (code, said) == (1, "spectm fetch: wanted at least one worker, found 0. Try 4.\n")
    assert archive.requests == []


@pytest.mark.slow
def test_yes_asks_nothing(archive: Archive, fetch: Command, terminal: Callable[..., list[str]]) -> None:
    archive.add(L2)
    asked = terminal()
    assert fetch("--yes")[0] == 0
    assert asked == []


@pytest.mark.slow
def test_without_a_terminal_it_wants_a_yes(archive: Archive, fetch: Command) -> None:
    archive.add(L2)
    code, _, err = fetch()
    assert code == 1
    assert err == (
        "spectm fetch: wanted an answer whether to fetch these files, found no terminal to ask on. Add --yes "
        "to fetch them, or --dry-run to see the table only.\n"
    )
    assert archive.downloads() == []


@pytest.mark.slow
def test_global_files_and_mixed_versions_are_noted(archive: Archive, fetch: Command) -> None:
    for name, collection in (
        ("PACE_OCI.20240804.L3m.DAY.AOP.V3_2.4km.nc", "PACE_OCI_L3M_AOP"),
        ("PACE_OCI.20240805.L3m.DAY.RRS.V3_1.Rrs.4km.nc", "PACE_OCI_L3M_RRS"),
    ):
        archive.add(name, short_name=collection, size=None)
    archive.granules[0].record = lambda: without_size(archive.granules[0])  # type: ignore[method-assign]
    _, out, _ = fetch("--dry-run", product="l3m-rrs-day")
    assert "l3m-rrs-day  3.1      final   1      0.0003\n" in out
    assert "l3m-rrs-day  3.2      final   1      0+?\n" in out
    assert "note: the catalogue does not give the size of every file\n" in out
    assert (
        "note: each of these files holds the whole globe; the archive does not cut them to a region\n" in out
    )
    assert "note: several processing versions" in out


def without_size(granule: object) -> dict[str, object]:
    """A record that says nothing of the size."""
    record = type(granule).record(granule)  # type: ignore[attr-defined]
    del record["umm"]["DataGranule"]
    return record


@pytest.mark.slow
def test_failures_are_listed_and_set_the_exit_code(archive: Archive, fetch: Command) -> None:
    archive.add(L2)
    archive.add(OTHER)
    archive.fail(L2, Fault(status=404))
    code, out, err = fetch("--yes")
    assert code == 1
    assert "fetched: 1; failed: 1\n" in out
    assert f"failed: {L2}: wanted {L2}, found that the archive does not have it any more (status 404)" in err
    assert fetch("--yes")[0] == 0  # the same command, later


def test_files_not_tried_after_a_refused_login_share_a_line(archive: Archive, fetch: Command) -> None:
    third = archive.add("PACE_OCI.20240806T182401.L2.OC_AOP.V3_1.nc").name
    archive.add(L2)
    archive.add(OTHER)
    archive.fail(L2, Fault(status=401))
    code, _, err = fetch("--yes", "--workers", "1")
    assert code == 1
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert "set EARTHDATA_TOKEN" in failed[0]
    assert failed[1] == f"failed: {OTHER}, {third}: not tried, or not to its end, after that"


def test_no_result_is_an_error(archive: Archive, fetch: Command) -> None:
    code, out, err = fetch("--cloud-max", "20")
    assert (code, out) == (1, "")
    assert "lake-erie-west (-83.55,41.35,-82.4,42.1), 2024-08-01 to 2024-08-07, cloud cover up to 20 %" in err
    assert err.count("\n") == 1


def test_version_and_cloud_limit_reach_the_search(archive: Archive, fetch: Command) -> None:
    archive.add(L2)
    old = archive.add(L2.replace("V3_1", "V3_0"), cloud_percent=5)
    archive.add(OTHER.replace("V3_1", "V3_0"), cloud_percent=90)
    assert fetch("--yes", "--version", "3.0", "--cloud-max", "50")[0] == 0
    assert archive.downloads() == [old.name]


def test_verify_reaches_the_check(archive: Archive, fetch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(L2)
    fetch("--yes")
    monkeypatch.setattr("spectm.data.catalog.manifest._digests", lambda *_: {"SHA-256": "another"})
    assert "at hand: 1;" in fetch("--dry-run")[1]
    assert "at hand: 0;" in fetch("--dry-run", "--verify")[1]


def test_the_final_file_replaces_its_twin(archive: Archive, fetch: Command, tmp_path: Path) -> None:
    archive.add(NRT, short_name="PACE_OCI_L2_AOP_NRT")
    assert "near-real-time" in fetch("--yes", product="l2-aop-nrt")[1]
    archive.add(L2)
    code, _, err = fetch("--yes", product="l2-aop-nrt")
    assert code == 1
    assert "all replaced by final ones. Try --product l2-aop." in err
    _, out, _ = fetch("--yes")
    assert "removed: 1 file in near real time that final ones have replaced\n" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {L2, MANIFEST}


def test_final_files_at_hand_leave_near_real_time_ones_out(archive: Archive, fetch: Command) -> None:
    archive.add(L2)
    fetch("--yes")
    archive.granules.clear()  # the catalogue has forgotten it
    archive.add(NRT, short_name="PACE_OCI_L2_AOP_NRT")
    late = archive.add(OTHER.replace(".nc", ".NRT.nc"), short_name="PACE_OCI_L2_AOP_NRT")
    archive.requests.clear()
    assert fetch("--yes", product="l2-aop-nrt")[0] == 0
    assert archive.downloads() == [late.name]


def test_netrc_when_there_is_no_token(
    archive: Archive, fetch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN")
    archive.add(L2)
    code, _, err = fetch("--yes")
    assert code == 1
    assert "wanted Earthdata credentials, found none (environment: " in err
    netrc = tmp_path / "home" / "netrc"
    netrc.write_text(f"machine {LOGIN} login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    code, out, _ = fetch("--yes")
    assert code == 0
    assert f"login: the netrc file {netrc}\n" in out


def test_a_refused_login_is_one_line(
    archive: Archive, fetch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would print the answer of the server on its own."""
    monkeypatch.delenv("EARTHDATA_TOKEN")
    netrc = tmp_path / "home" / "netrc"
    netrc.write_text(f"machine {LOGIN} login {USER} password wrong\n")
    netrc.chmod(0o600)
    archive.add(L2)
    code, _, err = fetch("--yes")
    assert code == 1
    assert err.startswith("spectm fetch: wanted to log in to Earthdata with the netrc file")
    assert err.count("\n") == 1


@pytest.mark.parametrize("day", ["2024-8-1", "yesterday"])
def test_a_date_that_is_none(fetch: Command, capsys: pytest.CaptureFixture[str], day: str) -> None:
    with pytest.raises(SystemExit) as ended:
        fetch("--start", day)
    assert ended.value.code == 2
    assert f"argument --start: '{day}' is no date such as 2024-08-01" in capsys.readouterr().err


def test_help_lists_the_products(fetch: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fetch", "--help"])
    text = capsys.readouterr().out
    assert re.search(
        r"^  l3m-rrs-8d-0p1deg +global map of remote-sensing reflectance, 8 days, 0.1", text, re.M
    )
    assert "\n  spectm fetch --product l2-aop --region lake-erie-west" in text
