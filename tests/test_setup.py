"""`make setup` on a machine that has only Python and make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
THIS = f"PYTHON={sys.executable}"
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


def checkout(folder):
    """Calls make in a checkout whose requirements name nothing."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").write_text("# nothing yet\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def call(*words):
        return subprocess.run(
            ["make", *words], cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=120
        )

    return call


@pytest.fixture
def make(tmp_path):
    return checkout(tmp_path)


def python(folder, body):
    """A program that answers as some other Python would."""
    path = folder / "other-python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A checkout that was set up for the first time, the calls of make there, and what the first one said."""
    folder = tmp_path_factory.mktemp("checkout")
    make = checkout(folder)
    return folder, make, make("setup", THIS)


def test_it_installs_at_first_and_then_only_when_the_requirements_change(first):
    folder, make, done = first
    assert done.returncode == 0, done.stderr
    assert "Installing what requirements.txt lists" in done.stdout
    assert make("setup", THIS).stdout == ""
    (folder / "requirements.txt").touch()
    assert make("setup", THIS).stdout == ""
    (folder / "requirements.txt").write_text("# something else\n")
    assert "Installing" in make("setup", THIS).stdout


def test_what_could_not_be_installed_is_tried_again(first):
    folder, make, _ = first
    (folder / "requirements.txt").write_text("./no-such-folder\n")
    assert make("setup", THIS).returncode != 0
    again = make("setup", THIS)
    assert "Installing" in again.stdout
    assert again.returncode != 0


def test_an_old_python_is_told_in_a_sentence(make, tmp_path):
    older = f"exec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])' \"$2\""
    done = make("setup", python(tmp_path, older))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is 3.9." in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_no_python_is_told_in_a_sentence(make):
    done = make("setup", "PYTHON=python-that-is-not-there")
    assert done.returncode != 0
    assert "there is no python-that-is-not-there here" in done.stderr


def test_an_environment_that_was_left_half_made_is_made_again(make, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    assert make("setup", THIS).returncode == 0
    assert (tmp_path / ".venv" / "bin" / "pip").exists()
