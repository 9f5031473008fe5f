import argparse
import csv
import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from spectm.cli import indices, windows
from spectm.errors import SensorError

Command = Callable[..., str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(module: ModuleType, *words: str) -> str:
        parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(parser)
        assert module.run(parser.parse_args(words)) == 0
        return capsys.readouterr().out

    return call


def table(text: str) -> dict[str, dict[str, str]]:
    """Rows of CSV output by their first column."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return {next(iter(row.values())): row for row in rows}


@pytest.fixture
def drone(tmp_path: Path) -> str:
    path = tmp_path / "drone.csv"
    path.write_text("wavelength_nm,width_nm\n620,10\n665,10\n708,10\n")
    return str(path)


@pytest.mark.parametrize("module", [indices, windows])
def test_help_holds_an_example(module: ModuleType) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    name = module.__name__.rpartition(".")[2]
    assert parser.description
    assert f"spectm {name} --" in (parser.epilog or "")
    assert "oci-sfrefl-v3" in parser.format_help().replace("oci-\n", "oci-")


def test_indices_of_the_aop_list(command: Command) -> None:
    text = command(indices)
    assert text.startswith("oci-aop-v3: 172 bands, 346-719 nm\n")
    assert "mci: no band within 5 nm of 753 nm" in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["ndci"][:5] == ["ndci", "1", "665", "708", "yes"]
    assert lines["avw"][:4] == ["avw", "nm", "400-700", "yes"]
    assert lines["mci"][:6] == ["mci", "sr^-1", "681", "709", "753", "no"]


def test_indices_as_csv_for_other_sensors(command: Command, drone: str) -> None:
    rows = table(command(indices, "--sensor", "oci-sfrefl-v3", "--csv"))
    assert len(rows) == 11
    assert {row["supported"] for row in rows.values()} == {"yes"}
    rows = table(command(indices, "--bands", drone, "--csv"))
    supported = {name for name, row in rows.items() if row["supported"] == "yes"}
    assert supported == {"ndci", "chl_2band", "pc_ratio"}
    assert rows["pci"]["missing"].startswith("no band within 5 nm of 560 nm")
    assert rows["pci"]["needs_nm"] == "560 620 665"
    assert "Qi et al. (2014)" in rows["pci"]["reference"]


def test_windows_of_the_paper(command: Command) -> None:
    words = ("--sensor", "oci-sfrefl-v3", "--half-width-nm", "4", "--guard-nm", "5")
    text = command(windows, *words)
    assert "half width 4 nm, guard 5 nm" in text
    total = next(line for line in text.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "28", "615", "724", "23.0"]
    assert "arXiv 2603.22097" in text
    rows = table(command(windows, *words, "--csv"))
    assert rows["phycocyanin absorption"]["n_bands"] == "7"
    assert rows["phycocyanin absorption"]["low_nm"] == "615"
    assert (rows["guard"]["n_bands"], rows["guard"]["first_nm"], rows["guard"]["last_nm"]) == (
        "5",
        "645",
        "729",
    )


@pytest.mark.parametrize(
    ("sensor", "n_bands", "share"), [("oci-aop-v3", "46", "26.7"), ("oci-sfrefl-v3", "24", "19.7")]
)
def test_windows_without_widening(command: Command, sensor: str, n_bands: str, share: str) -> None:
    rows = table(command(windows, "--sensor", sensor, "--csv"))
    assert (rows["total"]["n_bands"], rows["total"]["share_percent"]) == (n_bands, share)
    assert rows["guard"]["n_bands"] == "0"


def test_a_window_without_bands_is_shown_as_empty(command: Command, drone: str) -> None:
    rows = table(command(windows, "--set", "snow-minerals", "--bands", drone, "--csv"))
    assert {row["n_bands"] for row in rows.values()} == {"0"}
    assert {row["first_nm"] for row in rows.values()} == {""}
    rows = table(command(windows, "--bands", drone, "--csv"))
    assert [row["n_bands"] for row in rows.values()] == ["1", "1", "1", "3", "0"]


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (indices, ["--sensor", "oci"], "no sensor named 'oci'"),
        (indices, ["--bands", "absent.csv"], "can't read the band list"),
        (windows, ["--set", "algae"], "no window set named 'algae'"),
        (windows, ["--half-width-nm", "-1"], "half_width_nm must be 0 or more"),
        (windows, ["--guard-nm", "-1"], "guard_nm must be 0 or more"),
    ],
)
def test_mistakes_reach_the_caller(module: ModuleType, words: list[str], message: str) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    with pytest.raises(SensorError, match=message):
        module.run(parser.parse_args(words))
