import gc
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure, and the same tree passes or fails each time. To look for new counterexamples:
# pytest --hypothesis-profile=default
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

gc.disable()  # while modules and tests are collected: nothing of them ever goes


def pytest_collection_finish() -> None:
    """Tests begin: garbage is theirs alone."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace["np"] = np


def _real(name: str) -> Path:
    shared = Path(os.environ.get("SPECTM_SHARED", Path(__file__).parent.parent / "shared"))
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"no real data: set SPECTM_SHARED to the folder that holds data/{name}")
    return folder


@pytest.fixture(scope="session")
def lake_erie() -> Path:
    """Folder of the real Lake Erie data; the test is skipped where it is absent."""
    return _real("lake_erie")


@pytest.fixture(scope="session")
def pace_files() -> Path:
    """Folder of the two real files of the archive; the test is skipped where it is absent."""
    return _real("pace_files")
