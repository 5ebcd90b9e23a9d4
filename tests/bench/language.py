"""Ways to teach a small language model, side by side: `python -m tests.bench.language [--json] [--seeds 3]`.

Teacher: `models/stories260k`; student: 2 of its 5 layers; data: stories that the teacher wrote, as the very tokens that
it drew: written out and read again a text has other tokens, and the teacher is no longer its best model. All ways take
the same number of steps on as many tokens. A way's own texts are written from nothing, and the teacher says what it
thinks of them, at their beginning and further on. `sequence` learns the labels of fresh stories, four times as many;
`on_policy` has half of every round written by the student. `step_ratio` is the time of a step with recorded answers
over that of the same step with labels alone, both in turn, the median of many. `sampled` and `sampled_16` keep
64 and 16 tokens that are drawn of each answer.

The protocol: stories for learning, for choosing, and held out are drawn under different seeds. The learning rate is the
one of `RATES` at which the control does best on the stories for choosing (one seed), for all ways alike; no other
setting was chosen. The held-out stories are read once, at the end of each run. It prints and asserts nothing.
`STUDIO_TEST_DATA` names the folder of real data.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.distill import objective, teacher_outputs, top_answers
from studio.distill.fit import batches, fit
from studio.distill.learner import Learner
from studio.distill.objective import Distillation
from studio.distill.own_texts import BATCHES, OwnTexts
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.top_answers import How
from studio.distill.transfer_set import View
from studio.events import Progress, result_of
from studio.home import Home
from studio.machine.devices import Device
from studio.models.layers import cut_layers
from studio.models.model import Model, Problem, quiet
from studio.models.opening import open_folder
from studio.models.writing import write
from studio.tasks import Encoded, encoded_tokens
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits

TASK = tasks.get("language-model")
LENGTH, STORIES, HELD_OUT, OWN = 256, 512, 64, 64
BATCH, STEPS, RATES = 16, 200, (1e-3, 3e-3)
TIMED = 40
"""Steps of each kind that are timed."""

EARLY = 64
TOP = 8
"""What the renormalized way keeps: the fewer, the more is missing; as in the probe that it repeats."""

ENTRY_BYTES, POSITION_BYTES = 4, 6
"""Of a kept token two bytes each for number and probability; of a position its count and the mass of all others."""

DRAWN_BYTES = 3, 1
"""Of a drawn token two bytes for its number and one for how often it came; of a position how many there are."""

WAYS = ("control", "forward_kl", "top_k_tail", "top_k", "reverse_kl", "sequence", "on_policy", "sampled")
FURTHER = ("sampled_16",)
"""Ways that must be asked for."""

CPU = Device(torch.device("cpu"), torch.float32)
TERMS = {"reverse_kl": "reverse_kl", "top_k": "renormalized_top_k"}
HOW = {"top_k_tail": How(1.0, None), "top_k": How(1.0, TOP), "on_policy": How(1.0, None),
       "sampled": How(1.0, 64, 0), "sampled_16": How(1.0, 16, 0)}  # fmt: skip


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--seeds", type=int, default=3)
    wanted.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS + FURTHER)
    wanted.add_argument("--rate", type=float, help="Not to choose one.")
    wanted.add_argument("--steps-alone", action="store_true", help="Only the times of steps.")
    options = wanted.parse_args()
    quiet()
    begun = time.monotonic()
    folder = Path(os.environ["STUDIO_TEST_DATA"]) / "models" / "stories260k"
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(folder, Home(Path(place)))
        if options.steps_alone:
            return print(json.dumps(bench.step_ratios()))
        bench.rate = options.rate or bench.chosen_rate()
        rows = [bench.way(way, options.seeds) for way in options.ways]
        found = {"teacher": bench.measured(bench.teacher, 0, bench.held), "rate": bench.rate, "rows": rows,
                 "step_ratio": bench.step_ratios(), "seconds": round(time.monotonic() - begun)}  # fmt: skip
    print(json.dumps(found) if options.json else "\n".join(map(_line, [{"way": "teacher", **found["teacher"]}, *rows])))


class Bench:
    """The teacher, its stories, and what is held out."""

    def __init__(self, folder: Path, home: Home) -> None:
        problem = Problem(TASK.name, [], TASK.unlabelled(["Once upon a time"]), LENGTH)
        self.teacher, self.home = open_folder(folder, problem), home
        self.stories, self.held, self.validation = self.read(STORIES, 1), self.read(HELD_OUT, 2), self.read(HELD_OUT, 4)
        self.known: dict[How | None, tuple[Any, float]] = {}
        self.rate = RATES[0]

    def read(self, count: int, seed: int) -> EncodedTokens:
        """Stories of the teacher, each up to its end; what comes after the first token counts."""
        end, texts = self.teacher.processor.eos_token_id, self.texts(self.teacher, count, seed)
        cut = [text[: 1 + int((text[1:] == end).long().argmax()) + 1] if end in text[1:] else text for text in texts]
        return encoded_tokens.of_tokens(cut, [1] * count, 0)

    def chosen_rate(self) -> float:
        """The learning rate at which the control does best on the stories for choosing."""
        found = {}
        for rate in RATES:
            self.rate = rate
            found[rate] = self.measured(self.learned("control", 0)[0], 0, self.validation)["nll"]
            print(f"rate {rate:g}: {found[rate]:.4f} on the stories for choosing", file=sys.stderr, flush=True)
        return min(found, key=found.__getitem__)

    def texts(self, model: Model, count: int, seed: int) -> torch.Tensor:
        """The same as tokens, filled up after their end."""
        start = torch.full((count, 1), model.processor.bos_token_id)
        return write(model.network, start, LENGTH - 1, seed=seed, end=model.processor.eos_token_id)

    def way(self, way: str, seeds: int) -> dict[str, Any]:
        """A way under several seeds: means, and the standard deviation of the held-out loss."""
        found = [self.run(way, seed) for seed in range(seeds)]
        means = {name: round(statistics.fmean(one[name] for one in found), 4) for name in found[0]}
        spread = statistics.stdev(one["nll"] for one in found) if seeds > 1 else 0.0
        row = {"way": way, **means, "sd": round(spread, 4)}
        print(_line(row), file=sys.stderr, flush=True)
        return row

    def run(self, way: str, seed: int) -> dict[str, float]:
        """One student, and what it is worth."""
        student, seconds, size = self.learned(way, seed)
        return {**self.measured(student, seed, self.held), "seconds": seconds, "bytes_per_token": size}

    def learned(self, way: str, seed: int) -> tuple[Model, float, float]:
        """(a student that has learned this way, the seconds that it took, bytes of a token's answer on disk)."""
        spec, size = self.spec(way, seed)
        begun = time.perf_counter()
        for _ in fit(spec, CPU, BestWeights()):
            pass
        return spec.model, time.perf_counter() - begun, size

    def spec(self, way: str, seed: int) -> tuple[FitSpec, float]:
        student = cut_layers(self.teacher, 2)
        answers, size = self.answers(way)
        view, rows = self.view(way, student, answers, seed)
        config = parse_config({"dataset": "d", "teacher": "builtin/gpt-base", "student": "builtin/gpt-tiny",
                               "terms": TERMS.get(way, "soft_target"), "temperature": 1, "alpha": 1})  # fmt: skip
        is_labelled = way in ("control", "sequence")
        spec = FitSpec(
            phase="distill", model=student, task=TASK, rows=torch.arange(rows), view=view, validation=self.validation,
            objective=objective.labels_only(TASK) if is_labelled else Distillation(config, TASK), steps=STEPS,
            batch_size=BATCH, learning_rate=self.rate, weight_decay=0.01, seed=seed, validations=1,
        )  # fmt: skip
        return spec, size

    def step_ratios(self) -> dict[str, float]:
        """The median time of a step with recorded answers over that of the same step with labels alone."""
        steps = {way: self.steps(way) for way in ("control", "forward_kl", "top_k_tail", "sampled")}
        times: dict[str, list[float]] = {way: [] for way in steps}
        for _ in range(TIMED):
            for way, step in steps.items():
                begun = time.perf_counter()
                next(step)
                times[way].append(time.perf_counter() - begun)
        bare = statistics.median(times["control"][3:])
        return {way: round(statistics.median(found[3:]) / bare, 3) for way, found in times.items()}

    def steps(self, way: str) -> Iterator[None]:
        """Steps of a fit, one at a time."""
        spec, _ = self.spec(way, 0)
        learner = Learner(spec, CPU)
        for view, rows in batches(spec, CPU):
            result_of(learner.step(view, rows, 0.0))
            yield

    def answers(self, way: str) -> tuple[Any, float]:
        """What is kept of the teacher's answers for this way, and the bytes of a token's on disk."""
        if way in ("control", "sequence"):
            return None, 0.0
        how = HOW.get(way)
        if how not in self.known:
            self.known[how] = self.recorded(how)
        return self.known[how]

    def recorded(self, how: How | None) -> tuple[Any, float]:
        parts: list[Any] = []
        first = 0
        for rows in torch.arange(len(self.stories)).split(BATCH):
            with torch.inference_mode():
                raw = self.teacher.network(**self.stories.batch(rows)).logits
                logits = self.stories.positions(raw, rows).logits
                parts.append(logits.clone() if how is None else top_answers.keep(logits, *how, first=first))
                first += len(logits)
        if how is None:
            return PositionLogits(torch.cat(parts), self.stories.offsets), 4.0 * parts[0].shape[-1]
        found = top_answers.of_parts(parts, self.stories.offsets)
        entry, position = (ENTRY_BYTES, POSITION_BYTES) if how.draws is None else DRAWN_BYTES
        return found, (entry * len(found.values) + position * len(found.tail)) / len(found.tail)

    def view(self, way: str, student: Model, answers: Any, seed: int) -> tuple[Callable[[int], View], int]:
        """What each epoch of a way sees, and how many rows that are."""
        if way == "sequence":
            inputs = self.read(4 * STORIES, 3)
            return lambda epoch: View(inputs), len(inputs)
        plain = View(self.stories, answers)
        if way == "on_policy":
            rows = BATCHES * BATCH
            return OwnTexts(plain, student, self.teacher, 0.5, rows, seed, CPU, HOW[way]).view, rows
        return lambda epoch: plain, len(plain.inputs)

    def measured(self, model: Model, seed: int, held: Encoded) -> dict[str, float]:
        """The loss on what is held out, how unsure the model is there, and the teacher's loss on its own texts."""
        told = result_of(teacher_outputs.logits(model, held, CPU, lambda done: Progress(phase="evaluate", step=done)))
        early, late = self.own(self.texts(model, OWN, 100 + seed))
        return {"nll": -float(told.values[:, 0].mean()), "own_nll_early": early, "own_nll_late": late,
                "entropy": float(told.values[:, 2].mean())}  # fmt: skip

    def own(self, texts: torch.Tensor) -> tuple[float, float]:
        """The teacher's loss a token at the positions 1 to 64, and 64 to 256, up to the end of each text."""
        with torch.inference_mode():
            log_p = self.teacher.network(input_ids=texts).logits[:, :-1].log_softmax(-1)
        loss = -log_p.gather(-1, texts[:, 1:].unsqueeze(-1)).squeeze(-1)
        ended = (texts[:, :-1] == self.teacher.processor.eos_token_id).cumsum(1) > 0
        return tuple(_mean(loss[:, part], ~ended[:, part]) for part in (slice(0, EARLY), slice(EARLY, None)))  # type: ignore[return-value]


def _mean(values: torch.Tensor, where: torch.Tensor) -> float:
    return float(values[where].mean()) if bool(where.any()) else math.nan


def _line(row: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{value:<12}" for name, value in row.items()
    )


if __name__ == "__main__":
    main()
