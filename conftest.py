import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace["np"] = np


@pytest.fixture(scope="session")
def lake_erie() -> Path:
    """Folder of the real Lake Erie data; the test is skipped where it is absent."""
    shared = Path(os.environ.get("SPECTM_SHARED", Path(__file__).parent.parent / "shared"))
    folder = shared / "data" / "lake_erie"
    if not folder.is_dir():
        pytest.skip("no real data: set SPECTM_SHARED to the folder that holds data/lake_erie")
    return folder
