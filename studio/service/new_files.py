"""Files that a person asked for, under a name of their own: whole or not there, and never over another one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from studio import files
from studio.errors import ExportError


@contextlib.contextmanager
def written(target: Path) -> Iterator[Path]:
    """A path to write to; what is there is called `target` when the block ends without an error. A process that is
    killed leaves no half of a file, which would look like a whole one.

    Raises `ExportError` where `target` is there already or cannot be written.
    """
    with contextlib.ExitStack() as open_ones:
        try:
            part = open_ones.enter_context(files.new_file(target))
        except FileExistsError as error:
            raise _there(target) if target.exists() else _unwritable(target, error) from error
        except OSError as error:
            raise _unwritable(target, error) from error
        try:
            yield part
            open_ones.close()
        except FileExistsError as error:
            raise _there(target) if target.exists() else error from error


def _there(target: Path) -> ExportError:
    return ExportError(f"{target} is there already.", "Choose another name: nothing is overwritten.")


def _unwritable(target: Path, error: OSError) -> ExportError:
    return ExportError(f"{target} cannot be written: {error.strerror}.", "Choose another place.")
