"""The fork server without the libraries, which take seconds to open."""

import sys

from studio.executors import forkserver

forkserver._open_libraries = lambda: True
forkserver._fit_libraries = lambda threads: None

if __name__ == "__main__":
    sys.exit(forkserver.main())
