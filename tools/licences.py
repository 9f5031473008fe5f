"""Licences of everything that spectm and its runtime extras install, as the packages themselves state them.

``python tools/licences.py`` rewrites the table of THIRD_PARTY.md; a test compares the two.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "THIRD_PARTY.md"
EXTRAS = ("explain", "fetch", "geo", "serve")  # `dev` and `docs` are for those who work on it
# Builds of torch for GPUs bring NVIDIA's libraries under NVIDIA's terms; the page says so in words.
LEFT_OUT = re.compile(r"nvidia-|cuda-|triton$")
# Older packages say it in words of their own: read in their licence files.
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD License": "BSD",  # of two or three clauses
    "BSD 3-Clause License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "MIT license": "MIT",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
ROW = re.compile(r"^\| ([\w.-]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
HEAD = "| Package | Licence | Comes with |\n|---|---|---|\n"


def licence(package: Distribution) -> str:
    """What a package says of its licence: an SPDX expression, or the words that it has."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    said = told.get("License") or ""
    lines = [line for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    if not said or "\n" in said or said == "Dual License":  # some put the whole text there
        joint = " OR " if said == "Dual License" else " AND "
        said = joint.join(
            SPELLINGS.get(word, word) for word in (line.rpartition(" :: ")[2] for line in lines)
        )
    return SPELLINGS.get(said, said)


def needed(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What a package asks for here, on this system and Python."""
    lines = distribution(name).requires or []
    if name == "spectm":  # as it is now, and not when it was installed
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines = [
            *project["dependencies"],
            *(one for extra in extras for one in project["optional-dependencies"][extra]),
        ]
    for wanted in map(Requirement, lines):
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield wanted


def closure(extras: tuple[str, ...]) -> set[str]:
    """Names of all packages that spectm with these extras installs, itself left out."""
    waiting, seen = [("spectm", extras)], set()
    while waiting:
        name, asked = waiting.pop()
        for wanted in needed(name, asked):
            found = (canonicalize_name(wanted.name), tuple(sorted(wanted.extras)))
            if found not in seen and not LEFT_OUT.match(found[0]):
                seen.add(found)
                waiting.append(found)
    return {name for name, _ in seen}


def installed() -> dict[str, tuple[str, str]]:
    """Licence of each package, and with which extra it comes: "always", or names of extras."""
    always = closure(())
    by_extra = {extra: closure((extra,)) for extra in EXTRAS}
    names = sorted(always.union(*by_extra.values()))
    homes = {
        name: "always" if name in always else ", ".join(extra for extra in EXTRAS if name in by_extra[extra])
        for name in names
    }
    return {name: (licence(distribution(name)), homes[name]) for name in names}


def table() -> str:
    """The table of the page, as it should be."""
    return HEAD + "".join(f"| {name} | {said} | {home} |\n" for name, (said, home) in installed().items())


def main() -> int:
    """Rewrite the table."""
    try:
        new = table()
    except PackageNotFoundError as error:
        sys.stderr.write(f"wanted spectm[{','.join(EXTRAS)}] installed, found no {error}. Run: make setup\n")
        return 1
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEAD)
    PAGE.write_text(
        before + new + rest[len("".join(f"{row[0]}\n" for row in re.finditer(ROW, rest))) :], encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
