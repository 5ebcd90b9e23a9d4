"""What people prefer of what two models of a run wrote, when they do not know which is which."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, Literal

from studio.events import TrainedRole
from studio.home import Home

Choice = Literal["first", "second", "same"]
FILE = "judged.jsonl"


@dataclass(frozen=True)
class Counts:
    """How often each of a pair was preferred; `p_value`: of the exact sign test over those where one was."""

    first: int
    second: int
    same: int
    p_value: float | None

    @property
    def total(self) -> int:
        return self.first + self.second + self.same


def record(
    home: Home, run_id: int, pair: tuple[TrainedRole, TrainedRole], choice: Choice, asked: Any, who: str
) -> None:
    """Keep one judgement, at once. The same person's judgement of the same input counts once, the latest."""
    line = {"pair": list(pair), "choice": choice, "input": fingerprint(asked), "who": who}
    with (home.run(run_id) / FILE).open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(line) + "\n")
        kept.flush()
        os.fsync(kept.fileno())


def counts(home: Home, run_id: int, pair: tuple[TrainedRole, TrainedRole]) -> Counts:
    """What was judged of this pair so far."""
    from scipy import stats

    file = home.run(run_id) / FILE
    latest: dict[tuple[str, str], str] = {}
    for line in file.read_text(encoding="utf-8").split("\n") if file.is_file() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue  # the last one, of a process that ended while it wrote
        if one["pair"] == list(pair):
            latest[one["who"], one["input"]] = one["choice"]
    found = list(latest.values())
    first, second = found.count("first"), found.count("second")
    p_value = float(stats.binomtest(first, first + second).pvalue) if first + second else None
    return Counts(first, second, found.count("same"), p_value)


def is_swapped(asked: Any) -> bool:
    """Whether the second of a pair stands on the left for this input: for half of all, and always alike."""
    return int(fingerprint(asked), 16) % 2 == 1


def fingerprint(asked: Any) -> str:
    """An input by what it says."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
