"""Which process carries a run, by what the kernel says of it: never by a host's name or a clock that people set.

An owner's name is KERNEL:PID:STARTED:RANDOM. KERNEL is one boot of one machine, and the processes that see each other
in it (containers see their own alone); a process of another one cannot be looked at from here: its heartbeat tells.
"""

import os
import uuid
from pathlib import Path

import psutil

_PROC = Path("/proc")
_DEAD = "ZX"
"""States of a process that has ended."""


def new_owner() -> str:
    """A name for this process that another one can check."""
    return f"{kernel()}:{os.getpid()}:{_started(os.getpid())}:{uuid.uuid4().hex[:8]}"


def kernel() -> str:
    """Where a process number means the same process. Where there is no /proc, the machine."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return f"machine-{uuid.getnode():x}"


def is_here(owner: str | None) -> bool:
    """Whether the owner's process can be looked at from here."""
    return owner is not None and owner.rsplit(":", 3)[0] == kernel()


def is_gone(owner: str | None) -> bool:
    """Whether the owner's process has certainly ended: nobody, or one that would be seen here and is not."""
    if not owner:
        return True
    if not is_here(owner):
        return False
    _, pid, started, _ = owner.rsplit(":", 3)
    return _started(int(pid)) != started


def _started(pid: int) -> str | None:
    """When a living process was started, in the kernel's own count where there is one; None where it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in _DEAD else fields[19]
    except FileNotFoundError:
        return None if (_PROC / "self").exists() else _started_by_psutil(pid)
    except ProcessLookupError:  # it ended while it was read
        return None


def _started_by_psutil(pid: int) -> str | None:
    """macOS and Windows write the time down once and for all."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None
