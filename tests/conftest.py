"""What several tests share: small checkpoints, shared real data where it is, a closed network."""

import os
import tempfile
from pathlib import Path

# Before any library reads them: no test reaches a network or writes to a user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="rmeval-tests-modules-")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks; threads only get in the way

import pytest
from hypothesis import settings

settings.register_profile("anywhere", deadline=None)  # a busy machine is not a fault
settings.load_profile("anywhere")

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_TEXT = Path(__file__).parent / "golden_text"
SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"
DEMO_MODEL = Path(__file__).parents[1] / "rmeval" / "data" / "demo" / "model"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data that lies beside some checkouts of the project, and in none of its clones."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data, which is not here")
    return SHARED.resolve()
