"""The image of `make image`, without Docker: what it is made of is there, and what it calls is known."""

import json
import urllib.request
from pathlib import Path

import pytest
import typer

from pages import _door
from studio import cli

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROGRAM = {"app.py", "assets", "pages", "requirements.txt", "studio", ".streamlit/config.toml"}


def after(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in DOCKERFILE.splitlines() if line.startswith(f"{word} ")]


def test_the_image_holds_the_program_and_neither_secrets_nor_what_else_lies_there():
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == PROGRAM
    for copied in after("COPY"):
        *sources, _ = copied.split()
        assert all((ROOT / source).exists() for source in sources)


def test_the_image_starts_a_command_that_there_is_as_a_user_without_rights_in_a_home_of_its_own():
    start = json.loads(after("CMD")[-1])
    assert start[:4] == ["python", "-m", "studio", "serve"]
    serve = typer.main.get_command(cli.app).commands["serve"]  # type: ignore[attr-defined]
    assert serve.make_context("serve", start[4:]).params["address"] == "0.0.0.0"
    assert after("USER") == ["studio"]
    (home,) = after("VOLUME")
    assert f"STUDIO_HOME={home}" in after("ENV")
    assert f"mkdir --mode=700 {home} && chown studio {home}" in DOCKERFILE


@pytest.mark.parametrize("base", ["", "studio", "/studio/"])
def test_the_health_of_the_image_is_asked_where_no_login_is_needed(monkeypatch, base):
    asked = []
    monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", base)
    monkeypatch.setattr(urllib.request, "urlopen", asked.append)
    program, flag, code = json.loads(after("HEALTHCHECK --start-period=60s CMD")[0])
    assert (program, flag) == ("python", "-c")
    exec(code)
    below = asked[0].removeprefix("http://127.0.0.1:8501").removeprefix("/studio" if base else "")
    assert below in _door.OPEN
    assert ("/studio/" in asked[0]) == bool(base)
    assert after("EXPOSE") == ["8501"]
