"""The fork server without the libraries, which take seconds to open. Where STUDIO_TEST_FORKS says so, it can fork so
often and no more."""

import os
import sys

from studio.executors import forkserver

forkserver._open_libraries = lambda: True
forkserver.LATER = ()
forkserver._fit_libraries = lambda threads: None

fork, left = os.fork, int(os.environ.get("STUDIO_TEST_FORKS", "1000"))


def fork_or_refuse():
    global left
    left -= 1
    if left < 0:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()


if __name__ == "__main__":
    os.fork = fork_or_refuse
    sys.exit(forkserver.main())
