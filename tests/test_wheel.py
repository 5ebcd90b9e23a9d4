"""What `pip install .` puts in place. The wheel is built from a copy, without a network."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77", reason="building a wheel without a network needs setuptools here")
ROOT = Path(__file__).parents[1]
PACKED = ("studio", "pages", "assets", ".streamlit")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel holds, as `pip install --target` leaves it."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    unwanted = shutil.ignore_patterns("__pycache__", "screenshots", "_program", "secrets.toml")
    for name in PACKED:
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for file in ("app.py", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "MANIFEST.in"):
        shutil.copy(ROOT / file, source)
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    done = subprocess.run([sys.executable, "-B", "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "installed")
    return place / "installed"


def test_a_wheel_holds_every_module_and_page_and_what_the_server_needs(installed):
    inside = installed / "studio" / "_program"
    for file in (ROOT / "studio").rglob("*.py"):
        assert (installed / file.relative_to(ROOT)).is_file(), file
    assets = [file for file in (ROOT / "assets").rglob("*") if file.is_file() and file.suffix != ".png"]
    for file in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *assets]:
        assert (inside / file.relative_to(ROOT)).is_file(), file
    assert (inside / ".streamlit" / "config.toml").is_file()
    assert not (inside / "setup.py").exists()


def test_a_wheel_puts_nothing_beside_the_package(installed):
    there = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert there == {"studio"}


def test_a_wheel_gives_the_command_and_asks_for_what_was_tested(installed):
    (about,) = installed.glob("*.dist-info")
    assert "distillation-studio = studio.cli:main" in (about / "entry_points.txt").read_text()
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {line.partition("  #")[0] for line in lines if line and not line.startswith("#")}
    metadata = (about / "METADATA").read_text().splitlines()
    assert {line.removeprefix("Requires-Dist: ") for line in metadata if line.startswith("Requires-Dist")} == wanted


def test_what_is_installed_finds_its_server_and_the_data_of_the_demo(installed, tmp_path):
    script = (
        "from studio.service.program import program_folder; from studio.service.samples import MESSAGES;"
        "print(program_folder()); assert MESSAGES.is_file(); assert (program_folder() / 'app.py').is_file()"
    )
    surroundings = os.environ | {"PYTHONPATH": str(installed)}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "studio" / "_program")
