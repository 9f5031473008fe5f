import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pace_files() -> Path:
    """Folder of the two real files of the archive; the test is skipped where it is absent."""
    shared = Path(os.environ.get("SPECTM_SHARED", Path(__file__).parents[3] / "shared"))
    folder = shared / "data" / "pace_files"
    if not folder.is_dir():
        pytest.skip("no real data: set SPECTM_SHARED to the folder that holds data/pace_files")
    return folder
