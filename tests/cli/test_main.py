import importlib
import json
import re
import sys
from importlib import metadata
from types import ModuleType

import pytest

import spectm
from spectm.cli import main as cli
from spectm.cli.main import COMMANDS, main
from spectm.errors import PatchError
from tests import processes
from tests.processes import python

WITHOUT_TORCH = ("windows", "indices")


def imported_by(*words: str) -> tuple[set[str], str]:
    """Top-level modules that a command imports, and what it prints."""
    script = (
        "import json, sys\n"
        "from spectm.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    found = python("-c", script, *words)  # only a fresh interpreter tells what gets imported
    assert found.returncode == 0, found.stderr
    return set(json.loads(found.stderr)), found.stdout


def test_help_lists_every_command_and_is_quick() -> None:
    modules, text = imported_by("--help")
    assert not modules & {"torch", "numpy", "pandas", "sklearn", "matplotlib", "xarray", "lightning_fabric"}
    listed = text.partition("COMMAND\n")[2].partition("\n\n")[0]
    found = dict(re.findall(r"^    ([\w-]+)\s+(.*(?:\n {10,}.*)*)", listed, flags=re.MULTILINE))
    assert {name: " ".join(what.split()) for name, what in found.items()} == COMMANDS
    data = {"fetch", "inspect", "flags", "compose", "patches", "matchups", "spectra"}
    simulation = {"demo", "leaves", "realism", "simulate"}
    models = {"windows", "indices", "pretrain", "finetune", "predict", "evaluate"}
    shown = {"map", "export", "bulletin", "explain", "serve", "alerts"}
    studies = {"ablate", "label-efficiency", "own-lake", "transfer"}
    assert set(COMMANDS) == data | simulation | models | shown | studies


def test_a_package_of_an_extra_that_is_missing_is_named_with_the_extra(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    command = ModuleType("spectm.cli.compose")
    command.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    command.run = lambda args: importlib.import_module("zarr")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spectm.cli.compose", command)
    assert main(["compose"]) == 1
    assert capsys.readouterr().err == (
        'spectm compose: wanted the package zarr, found none. pip install "spectm[geo]"\n'
    )


def test_version_is_that_of_the_package() -> None:
    modules, text = imported_by("--version")
    assert text == f"spectm {spectm.__version__}\n"
    assert metadata.version("spectm") == spectm.__version__
    assert "torch" not in modules


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_tables_need_no_torch(name: str) -> None:
    modules, text = imported_by(name)
    assert "oci-aop-v3: 172 bands" in text
    assert not modules & {"torch", "pandas"}


def test_the_module_can_be_run() -> None:
    found = python("-m", "spectm.cli.main", "--version")
    assert (found.returncode, found.stdout) == (0, f"spectm {spectm.__version__}\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text
    example = text.partition("example")[2]
    assert re.search(rf"^  spectm {name} \S", example, flags=re.MULTILINE)


@pytest.mark.parametrize("words", [[], ["pretrian"], ["predict"], ["windows", "--sensors", "x"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: spectm" in capsys.readouterr().err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch):
    """Let `spectm windows` do something else."""

    def replace_with(action) -> None:
        module = ModuleType("stand-in")
        module.add_arguments = lambda parser: None
        module.run = lambda args: action()
        monkeypatch.setattr(cli.importlib, "import_module", {"spectm.cli.windows": module}.__getitem__)

    return replace_with


def failing(error: BaseException):
    def action() -> int:
        raise error

    return action


def test_an_error_is_one_line(command, capsys: pytest.CaptureFixture[str]) -> None:
    command(failing(PatchError("wanted a file, found none. Give one.")))
    assert main(["windows"]) == 1
    found = capsys.readouterr()
    assert found.err == "spectm windows: wanted a file, found none. Give one.\n"
    assert found.out == ""


def test_an_error_of_several_lines_is_one_line_too(command, capsys: pytest.CaptureFixture[str]) -> None:
    """Libraries put line breaks into the messages that ours repeat."""
    command(failing(PatchError("could not read it:\n  truncated\n")))
    assert main(["windows"]) == 1
    assert capsys.readouterr().err == "spectm windows: could not read it: truncated\n"


@pytest.mark.parametrize(
    ("said", "printed"), [("", "interrupted"), ("at step 7", "interrupted at step 7")], ids=["mute", "saying"]
)
def test_ctrl_c(command, capsys: pytest.CaptureFixture[str], said: str, printed: str) -> None:
    command(failing(KeyboardInterrupt(said) if said else KeyboardInterrupt()))
    assert main(["windows"]) == 130
    assert capsys.readouterr().err == f"\nspectm windows: {printed}\n"


def test_other_errors_are_not_hidden(command) -> None:
    """A bug of ours should show where it is."""
    command(failing(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["windows"])


@pytest.mark.slow
def test_a_reader_that_has_seen_enough() -> None:
    script = f"{sys.executable} -m spectm.cli.main indices --csv | head -n 1; echo ${{PIPESTATUS[0]}}"
    found = processes.run(["bash", "-c", script])
    assert found.stdout.splitlines()[-1] == "0"
    assert found.stderr == ""


def test_the_exit_code_is_the_commands(command) -> None:
    command(lambda: 3)
    assert main(["windows"]) == 3
