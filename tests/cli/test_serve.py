"""`spectm serve`: what it takes, and what it refuses before it listens."""

import socket
from pathlib import Path
from typing import Any

import pytest

from spectm.apps.server import run as running
from spectm.cli.main import main
from tests.apps.stores import make_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("served") / "week", n_periods=1)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been served; nothing is."""
    found: list[dict[str, Any]] = []

    def remember(app: Any, listening: socket.socket, *, behind_proxy: bool) -> None:
        found.append({"app": app, "port": listening.getsockname()[1], "behind_proxy": behind_proxy})
        listening.close()

    monkeypatch.setattr(running, "serve", remember)
    return found


@pytest.mark.slow
def test_serves_the_folders_that_are_named(folder: Path, served: list[dict[str, Any]], capsys) -> None:
    assert main(["serve", str(folder), f"other={folder}", "--port", "0", "--behind-proxy"]) == 0
    (only,) = served
    assert only["behind_proxy"]
    assert f"serving week, other at http://127.0.0.1:{only['port']}/" in capsys.readouterr().out


def test_a_port_in_use(folder: Path, served: list[dict[str, Any]], capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(folder), "--port", str(port)]) == 1
    assert f"wanted to listen on 127.0.0.1, port {port}" in capsys.readouterr().err
    assert not served


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{tmp}/nothing"], "wanted a folder of predictions"),
        (["{folder}", "week={folder}"], "found 'week' twice"),
        (["{folder}", "--rate", "0"], "--rate wants requests a second above 0"),
        (["{folder}", "--port", "70000"], "another number"),
        (["{folder}", "--stations", "{tmp}/none.csv"], "wanted a table of stations"),
    ],
)
def test_refuses_before_it_listens(
    folder: Path, tmp_path: Path, served: list[dict[str, Any]], capsys, words: list[str], said: str
) -> None:
    assert main(["serve", *(word.format(tmp=tmp_path, folder=folder) for word in words)]) == 1
    assert said in capsys.readouterr().err
    assert not served


def test_a_real_record_does_not_go_with_a_simulated_lake(
    folder: Path, study: Any, served: list[dict[str, Any]], capsys
) -> None:
    assert not study.labels.simulated
    assert main(["serve", str(folder), "--labels", str(study.labels_file)]) == 1
    assert "simulated" in capsys.readouterr().err
    assert not served
