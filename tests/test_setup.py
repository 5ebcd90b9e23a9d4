"""`make setup` on a machine that has only Python and make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@pytest.fixture
def make(tmp_path):
    """Calls make in a checkout whose requirements name nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("# nothing yet\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def call(*words):
        return subprocess.run(
            ["make", *words], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=120
        )

    return call


def python(folder, body):
    """A program that answers as some other Python would."""
    path = folder / "other-python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_it_installs_at_first_and_then_only_when_the_requirements_change(make, tmp_path):
    this = f"PYTHON={sys.executable}"
    first = make("setup", this)
    assert first.returncode == 0, first.stderr
    assert "Installing what requirements.txt lists" in first.stdout
    assert make("setup", this).stdout == ""
    (tmp_path / "requirements.txt").touch()
    assert make("setup", this).stdout == ""
    (tmp_path / "requirements.txt").write_text("# something else\n")
    assert "Installing" in make("setup", this).stdout


def test_what_could_not_be_installed_is_tried_again(make, tmp_path):
    this = f"PYTHON={sys.executable}"
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n")
    assert make("setup", this).returncode != 0
    again = make("setup", this)
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
    assert make("setup", f"PYTHON={sys.executable}").returncode == 0
    assert (tmp_path / ".venv" / "bin" / "pip").exists()
