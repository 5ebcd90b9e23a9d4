"""The list of faults: what they say, and how they are put into the code."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("faults.toml")


class StaleFaultError(Exception):
    """The fault's line is not in the code any more, or is there more than once."""


@dataclass(frozen=True)
class Fault:
    """In `file` the fragment `line`, which stands there once (once below `below`, where that is given), `becomes`
    something wrong; `tests` are what must notice it, as pytest takes them."""

    name: str
    file: str
    line: str
    becomes: str
    tests: tuple[str, ...]
    below: str = ""

    def applied(self, source: str) -> str:
        """The source with the fault in it. Raises `StaleFaultError` where the fault does not fit.

        >>> Fault("", "", "a + b", "a - b", ()).applied("c = a + b")
        'c = a - b'
        """
        if source.count(self.below) < 1:
            raise StaleFaultError(f"{self.file} has no {self.below!r}")
        head, mark, rest = source.partition(self.below) if self.below else ("", "", source)
        found = rest.count(self.line)
        if found == 0 or (found > 1 and not self.below):
            raise StaleFaultError(f"{self.file} has {self.line!r} {found} times{f' below {mark!r}' if mark else ''}")
        if self.line == self.becomes:
            raise StaleFaultError("the line stays as it is")
        return head + mark + rest.replace(self.line, self.becomes, 1)


def read(file: Path = LIST) -> list[Fault]:
    """All faults of a list, in its order."""
    entries = tomllib.loads(file.read_text())["fault"]
    return [Fault(**(entry | {"tests": tuple(entry["tests"])})) for entry in entries]
