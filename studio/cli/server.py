"""`serve`: the studio in the browser."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.place import acts_here, open_home
from studio.cli.terminal import LARGEST_ID, busy, command, say
from studio.errors import StoreError, StudioError
from studio.executors import registry
from studio.home import Home

commands = typer.Typer()


@commands.command()
def serve(
    student: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|ZIP]",
            help="Serve one student alone, for programs: that of a run, or one that was exported. Without it the whole "
            "studio is served.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the pages are: http://127.0.0.1:PORT.")] = 8501,
    address: Annotated[
        str | None, typer.Option(help="The address to listen on; this machine alone when left out.")
    ] = None,
) -> None:
    """Start the studio in the browser, or one student for programs; Ctrl-C ends it, and runs go on when it is started
    again.

    A student answers POST /predict; GET /openapi.json says how. On a network it needs a token in STUDIO_SERVE_TOKEN.
    """
    if student is not None:
        return _serve_alone(student, port, address or "127.0.0.1")
    from studio.service import housekeeping
    from studio.service.program import program_folder

    registry.wanted_slots(), registry.one_run(), housekeeping.limits()  # a wrong environment is told here in a sentence
    _require_free(port, address or "127.0.0.1")
    home = Home.from_environment()
    home.make()
    if exposed := home.exposed():
        say(exposed)
    words = [sys.executable, "-m", "streamlit", "run", str(program_folder() / "app.py"), "--server.port", str(port)]
    words += ["--server.address", address] if address else []
    if os.name == "posix":
        os.execv(sys.executable, words)  # noqa: S606  the server gets the signals itself
    sys.exit(subprocess.call(words))


def _serve_alone(student: str, port: int, address: str) -> None:
    """Serve the student of a run or of an exported zip, without the studio's database."""
    from studio.serve import alone  # it opens the server's libraries

    _require_free(port, address)
    with tempfile.TemporaryDirectory(prefix="served-") as place:
        file = Path(student)
        if student.isdecimal():
            if int(student) > LARGEST_ID:
                raise StoreError(f"There is no run {student[:30]}.", f"{command()} runs lists them.")
            file = acts_here(*open_home()).export(int(student), Path(place) / "student.zip")
        folder = Path(place) / "student"
        with busy("Opening the student"):
            alone.unpack(file, folder)
            served = alone.Student(folder)
        say(f"POST http://{f'[{address}]' if ':' in address else address}:{port}/predict asks it; Ctrl-C ends it.")
        alone.serve(served, port, address)


def _require_free(port: int, address: str) -> None:
    """Raise `StudioError` where another program listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as place:
        if os.name == "posix":
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((address, port))
        except OSError as error:
            raise StudioError(
                f"The studio cannot listen on {address}, port {port}: {error.strerror or error}.",
                f"End what is there, or take another port: {command()} serve --port {port % 65535 + 1}, or "
                f"make run PORT={port % 65535 + 1}.",
            ) from error
