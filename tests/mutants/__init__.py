"""Faults on purpose: one line at a time is made wrong, and some test must notice.

`faults.toml` is the list, `faults.py` reads and applies it, `__main__.py` runs it (`make mutants`), and `server.py`
is the process that runs the tests of one fault after the other.
"""
