"""What Linux's control groups allow this process, wherever it stands in them: containers, services, slices, versions 1
and 2."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROC = Path("/proc")


@dataclass(frozen=True)
class Version:
    """The names under which a version of control groups keeps what is asked for here."""

    limit: str
    used: str
    droppable: str
    """Of files that can be read again: the line of memory.stat."""


V1 = Version("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = Version("memory.max", "memory.current", "inactive_file")


def left() -> list[int]:
    """Bytes that each group around this process has left of its limit, files that can be dropped counted as free;
    nothing where there is no limit."""
    found = []
    for version, group in _groups():
        with contextlib.suppress(OSError, ValueError):  # the root has no such files, and no limit is a word
            found.append(_left(version, group))
    return found


def oom_kills() -> int | None:
    """How many processes the kernel has killed so far because memory ran out; None where it does not tell."""
    try:
        lines = (PROC / "vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _left(version: Version, group: Path) -> int:
    limit, used = (int((group / name).read_text()) for name in (version.limit, version.used))
    counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return limit - used + int(counts.get(version.droppable, 0))


def _groups() -> Iterator[tuple[Version, Path]]:
    """The group of this process and every one around it, as far as they can be seen."""
    try:
        mounts = list(_mounts((PROC / "self" / "mountinfo").read_text()))
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version = V1 if "memory" in controllers.split(",") else V2
        if controllers and version is V2:
            continue
        for mounted, root, place in mounts:
            if mounted is version:
                group = place / _below(root, path)
                yield from ((version, around) for around in (group, *group.parents) if around.is_relative_to(place))


def _mounts(text: str) -> Iterator[tuple[Version, str, Path]]:
    """Where groups that count memory are mounted: version, the group at its root, the place."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, place = before.split()[3:5]
        if kind == "cgroup2":
            yield V2, root, Path(place)
        elif kind == "cgroup" and "memory" in options.split(","):
            yield V1, root, Path(place)


def _below(root: str, path: str) -> PurePosixPath:
    """The group's path below what is mounted; the mounted one itself where it lies elsewhere.

    >>> _below("/docker/x", "/docker/x/job"), _below("/", "/user.slice"), _below("/", "/../other")
    (PurePosixPath('job'), PurePosixPath('user.slice'), PurePosixPath('.'))
    """
    wanted = PurePosixPath(path)
    return wanted.relative_to(root) if wanted.is_relative_to(root) and ".." not in wanted.parts else PurePosixPath()
