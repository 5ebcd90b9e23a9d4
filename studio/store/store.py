"""SQLite: what is known of data sets and runs, and all SQL of the project, a subject a module."""

from studio.store.audit import Audit, Leases
from studio.store.marks import Marks
from studio.store.queue import Queue
from studio.store.results import Results
from studio.store.run_list import RunList
from studio.store.sweeps import Sweeps
from studio.store.tokens import Tokens
from studio.store.versions import Versions


class Store(Queue, RunList, Sweeps, Results, Audit, Leases, Tokens, Marks, Versions):
    """All of the database at `path`, made when it is not there. Safe to share between threads."""
