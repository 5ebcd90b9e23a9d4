import os

import pytest
from playwright.sync_api import Page, expect

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


@pytest.fixture(autouse=True)
def patience(page: Page) -> None:
    """Two cores may be busy with a run and a second browser: what is expected comes, but not at once."""
    page.set_default_timeout(120_000)
    expect.set_options(timeout=90_000)
