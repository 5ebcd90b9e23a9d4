"""What people prefer of what two models of a run wrote, when they do not know which is which."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from studio.errors import ModelError
from studio.events import TrainedRole
from studio.home import Home
from studio.service import journal

Choice = Literal["first", "second", "same"]
FILE = "judged.jsonl"


@dataclass(frozen=True)
class Counts:
    """On how many inputs more people preferred one of a pair than the other one, or as many (`same`), in so many
    `judgements`. `p_value`: of the exact sign test over the inputs where one was preferred. What several people say of
    one input is one trial of it: they judge the same two texts."""

    first: int
    second: int
    same: int
    judgements: int
    p_value: float | None

    @property
    def inputs(self) -> int:
        return self.first + self.second + self.same


def record(
    home: Home, run_id: int, pair: tuple[TrainedRole, TrainedRole], choice: Choice, asked: Any, who: str
) -> None:
    """Keep one judgement, at once. The same person's judgement of the same input counts once, the latest. Raises
    `ModelError` where the run's files are gone."""
    if not home.run(run_id).is_dir():
        raise ModelError(f"The files of run {run_id} are gone: nothing can be kept of it.", "Judge another run.")
    line = {"pair": list(pair), "choice": choice, "input": fingerprint(asked), "who": who}
    with journal.adding(home.run(run_id) / FILE) as add:
        add(line)


def counts(home: Home, run_id: int, pair: tuple[TrainedRole, TrainedRole]) -> Counts:
    """What was judged of this pair so far."""
    from scipy import stats

    latest: dict[tuple[str, str], str] = {}
    for judgement in journal.read(home.run(run_id) / FILE):
        if judgement["pair"] == list(pair):
            latest[judgement["who"], judgement["input"]] = judgement["choice"]
    votes: dict[str, Counter[str]] = {}
    for (_who, asked), choice in latest.items():
        votes.setdefault(asked, Counter())[choice] += 1
    first = sum(found["first"] > found["second"] for found in votes.values())
    second = sum(found["first"] < found["second"] for found in votes.values())
    p_value = float(stats.binomtest(first, first + second).pvalue) if first + second else None
    return Counts(first, second, len(votes) - first - second, len(latest), p_value)


def is_swapped(asked: Any) -> bool:
    """Whether the second of a pair stands on the left for this input: for half of all, and always alike."""
    return int(fingerprint(asked), 16) % 2 == 1


def fingerprint(asked: Any) -> str:
    """An input by what it says."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
