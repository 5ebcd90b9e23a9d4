import os

import pytest

from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, served


@pytest.fixture(scope="session")
def browser_type_launch_args():
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"no browser at {CHROMIUM}: install Debian's package chromium")
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's package chromium")
    return {"executable_path": str(CHROMIUM), "args": CHROMIUM_ARGUMENTS}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The address of a studio that is empty."""
    with served(tmp_path_factory.mktemp("e2e") / "home") as address:
        yield address
