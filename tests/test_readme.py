import re
from pathlib import Path

from typer.testing import CliRunner

from studio.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAP = README.split("## The map")[1].split("```")[1]


def test_every_line_of_the_map_names_what_is_there():
    for line in MAP.strip().splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_every_module_and_page_is_on_the_map():
    found = {str(path.relative_to(ROOT)) for folder in ("studio", "pages") for path in (ROOT / folder).rglob("*.py")}
    listed = set(re.findall(r"\S+\.py", MAP))
    missing = {path for path in found - listed if not path.endswith(("__init__.py", "__main__.py"))}
    assert not missing


def test_every_dependency_has_its_reason():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {line.split("==")[0] for line in lines if line and not line.startswith("#")}
    table = README.split("## What it stands on")[1]
    assert required == set(re.findall(r"^\| ([\w-]+) \| (?!for)", table, re.MULTILINE)) - {"package", "---"}


def test_every_command_in_the_readme_exists():
    for words in re.findall(r"python -m studio ([a-z]+(?: (?:add|list))?)", README):
        assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words


def test_every_picture_in_the_readme_is_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / name).is_file(), name


def test_the_rows_in_contributing_name_every_module():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in (ROOT / "studio").glob("*.py"):
        if not path.stem.startswith("__"):
            assert f"`{path.stem}`" in text or f"`studio.{path.stem}`" in text, path.stem
