"""`serve`: the studio in the browser."""

import os
import socket
import subprocess
import sys
from typing import Annotated

import typer

from studio.cli.terminal import command
from studio.errors import StudioError
from studio.executors import registry

commands = typer.Typer()


@commands.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the pages are: http://127.0.0.1:PORT.")] = 8501,
    address: Annotated[
        str | None, typer.Option(help="The address to listen on; this machine alone when left out.")
    ] = None,
) -> None:
    """Start the studio in the browser; Ctrl-C ends it, and runs go on when it is started again."""
    from studio.service.program import program_folder

    registry.wanted_slots(), registry.one_run()  # what is wrong in the environment is told here, in one sentence
    _require_free(port, address or "127.0.0.1")
    words = [sys.executable, "-m", "streamlit", "run", str(program_folder() / "app.py"), "--server.port", str(port)]
    words += ["--server.address", address] if address else []
    if os.name == "posix":
        os.execv(sys.executable, words)  # noqa: S606  the server gets the signals itself
    sys.exit(subprocess.call(words))


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
