"""What README and docs say is run, parsed or compared with the code.

``python -m tests.test_docs`` writes the defaults of the code into ``docs/settings.md``.
"""

import argparse
import dataclasses
import doctest
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import spectm
from spectm.cli.main import COMMANDS, main, module_of
from spectm.config import from_mapping, read_settings, to_toml
from spectm.evaluation.run import EvaluationSettings

ROOT = Path(__file__).parent.parent
SETTINGS = ROOT / "docs" / "settings.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
WRITTEN_LATER = {ROOT / "docs" / "results.md"}  # by `make reproduce`, from its own output

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\|", re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Contents of the fenced blocks of a page."""
    return (body for language, body in FENCE.findall(text_of(page)) if language in languages)


def lines_of_shell() -> Iterator[tuple[Path, str]]:
    """Every line of shell in README and docs, continued lines joined."""
    for page in PAGES:
        for body in blocks(page, "sh", "bash", "console"):
            for line in body.replace("\\\n", " ").splitlines():
                yield page, line.removeprefix("$ ").strip()


SPECTM_LINES = sorted(
    {(page.name, line) for page, line in lines_of_shell() if re.match(r"spectm |\S+/spectm ", line)}
)
MAKE_TARGETS = sorted({line.split()[1] for _, line in lines_of_shell() if line.startswith("make ")})


def with_defaults() -> str:
    """The settings page, its column of defaults as the code has it."""
    parts = re.split(r"^(## .+)$", text_of(SETTINGS), flags=re.MULTILINE)
    defaults = tomllib.loads(to_toml(EvaluationSettings()))
    for i in range(1, len(parts), 2):
        section = defaults
        for key in parts[i].removeprefix("## ").split("."):
            section = section[key]
        parts[i + 1] = ROW.sub(lambda row, of=section: f"| `{row[1]}` | {shown(of[row[1]])} |", parts[i + 1])
    return "".join(parts)


def shown(value: object) -> str:
    """A value as TOML has it; lists without a limit of their own as words."""
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "`[]`"
    return f"`{to_toml_value(value)}`"


def to_toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def flat(settings: object, prefix: str = "") -> set[str]:
    """Names of all settings, as section.key."""
    names = set()
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        name = f"{prefix}{field.name}"
        names |= flat(value, f"{name}.") if dataclasses.is_dataclass(value) else {name}
    return names


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_give_what_they_say(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    source = re.sub(r"^```.*$", "", text_of(page), flags=re.MULTILINE)  # else a fence ends the output
    test = doctest.DocTestParser().get_doctest(source, {}, page.name, str(page), 0)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)


def test_readme_has_python_to_run() -> None:
    assert ">>> " in text_of(ROOT / "README.md")


@pytest.mark.parametrize(("page", "line"), SPECTM_LINES)
def test_command_lines_parse(page: str, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0].partition(" | ")[0], comments=True)[1:]
    if words[0].startswith("-"):
        with pytest.raises(SystemExit, match="0"):
            main(words)
        return
    assert words[0] in COMMANDS, f"{page}: no command {words[0]}"
    parser = argparse.ArgumentParser(exit_on_error=False)
    module_of(words[0]).add_arguments(parser)
    args = parser.parse_args(words[1:])
    if isinstance(overrides := getattr(args, "set", None), list):
        read_settings(EvaluationSettings, None, overrides)


def test_every_command_is_shown_in_the_readme() -> None:
    in_readme = {line.split()[1] for name, line in SPECTM_LINES if name == "README.md"}
    assert in_readme == set(COMMANDS)


@pytest.mark.parametrize("target", MAKE_TARGETS)
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{re.escape(target)}:", text_of(ROOT / "Makefile"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if target in WRITTEN_LATER and not target.exists():
            continue
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CITATION.cff", ROOT / "Makefile"], ids=lambda page: page.name
)
def test_no_page_names_a_path_of_a_machine(page: Path) -> None:
    assert not re.findall(r"(?<![\w.])(?:/(?:work|tmp|home|root|mnt|Users)/|[A-Z]:\\)\S*", text_of(page))


def test_toml_examples_are_settings() -> None:
    """Each is read, and every value of it is found where the example puts it."""
    examples = [(page, tomllib.loads(body)) for page in PAGES for body in blocks(page, "toml")]
    assert SETTINGS in {page for page, _ in examples}
    for page, example in examples:
        read = dataclasses.asdict(from_mapping(EvaluationSettings, example, where=page.name))
        assert leaves(example)
        assert leaves(example).items() <= leaves(read).items(), page.name


def leaves(section: dict, prefix: str = "") -> dict[str, str]:
    """Values of all sections, by section.key, as text: lists come back as tuples."""
    found = {}
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= leaves(value, f"{name}.")
        else:
            found[name] = repr(list(value) if isinstance(value, tuple) else value)
    return found


def test_settings_page_has_every_setting_and_no_other() -> None:
    parts = re.split(r"^## (.+)$", text_of(SETTINGS), flags=re.MULTILINE)[1:]
    sections = zip(parts[::2], parts[1::2], strict=True)
    assert {f"{name}.{row[0]}" for name, body in sections for row in ROW.findall(body)} == flat(
        EvaluationSettings()
    )


def test_settings_page_has_the_defaults_of_the_code() -> None:
    assert text_of(SETTINGS) == with_defaults(), "a default changed: run `python -m tests.test_docs`"


def test_index_lists_every_page() -> None:
    listed = {ROOT / "docs" / link for link in LINK.findall(text_of(ROOT / "docs" / "index.md"))}
    assert set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "index.md"} <= listed


def test_versions_agree() -> None:
    assert f"\nversion: {spectm.__version__}\n" in text_of(ROOT / "CITATION.cff")
    assert f"\n## {spectm.__version__}" in text_of(ROOT / "CHANGELOG.md")


def test_constraints_are_exact_and_hold_every_requirement() -> None:
    lines = text_of(ROOT / "constraints.txt").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)  # no host, no option, no local label
    pinned = {normal(pin.partition("==")[0]) for pin in pins}
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in wanted} <= pinned  # type: ignore[index]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    SETTINGS.write_text(with_defaults(), encoding="utf-8")
