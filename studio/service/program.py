"""Where the program's own files are, those that are no modules of `studio`: the server, its pages, the demo's data."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def program_folder() -> Path:
    """The folder of `app.py`, `pages/` and `assets/`: beside `studio/` in a checkout, inside it when installed.

    >>> (program_folder() / "app.py").is_file()
    True
    """
    installed = _PACKAGE / "_program"
    return installed if installed.is_dir() else _PACKAGE.parent
