"""Prints the lowest versions that `pyproject.toml` allows, as constraints: `>=1.2` becomes `==1.2`.

`tools/lowest.py EXTRA...` takes the runtime requirements and those of the extras named; with them
`tools/try-wheel.sh lowest` installs the wheel. Only direct dependencies are pinned: what they need in turn is
theirs to choose.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?(?:>=(?P<lowest>[\w.]+))?")
# Older builds of torch on PyPI bring gigabytes of CUDA; the version of `constraints.txt` is tried instead.
LEFT_OUT = ("torch",)


def constraints(extras: list[str]) -> list[str]:
    """One line for each direct requirement that has a lower bound."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    found = [REQUIREMENT.match(one) for one in wanted]
    return [
        f"{one['name']}=={one['lowest']}"
        for one in found
        if one is not None and one["lowest"] and one["name"] not in LEFT_OUT
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints(sys.argv[1:])) + "\n")
