"""Models asked over HTTP: the studio's own interface for programs, and one exported student served alone."""
