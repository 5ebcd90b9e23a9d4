"""Temperature and alpha chosen by trying: short pilots on the recorded answers, judged on validation data."""

import copy
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from studio.config.reading import with_values
from studio.config.run import RunConfig
from studio.distill import checkpoints, teacher_outputs
from studio.distill.fit import fit
from studio.distill.objective import Objective
from studio.distill.spec import BestWeights, FitSpec
from studio.events import Choice, Event, Log, Progress
from studio.machine.devices import Device
from studio.tasks import Measure, Reference

TEMPERATURES = (1.0, 2.0, 4.0, 8.0)
ALPHAS = (0.5, 0.9)
FINALISTS = 3

CLEARLY = 1.96
"""Of the standard error of a difference: what lies beyond is chance in one of 20 cases."""

CLOSE = 0.05
"""A trial that made less than this share of the way from having learned nothing to perfect tells nothing yet."""


@dataclass(frozen=True)
class Pilot:
    """A short trial of a pair, and the first measure of the task that it reached on the validation rows."""

    temperature: float
    alpha: float
    value: float


def choose(
    config: RunConfig, spec: FitSpec, objective: Callable[[RunConfig], Objective], device: Device, classes: int
) -> Generator[Event, None, RunConfig]:
    """Try pairs for half of the steps of `spec`, the best three for the other half; yields a `Choice`, returns the new
    config.

    Every pilot starts from the student's own weights. The pair of the config stays unless another one is better by more
    than chance on the validation rows, and better than no learning at all: short trials favour what learns fast, and
    the best of several is partly luck.
    """
    own = (config.temperature, config.alpha)
    pairs = list(dict.fromkeys([own, *((t, a) for t in TEMPERATURES for a in ALPHAS)]))
    saved = checkpoints.read(spec.checkpoint)
    for sentence in saved.damaged:
        yield Log(level="warning", message=sentence)
    trials = Trials(config, spec, objective, device, saved.state or {})
    first = yield from trials.round(pairs, 0)
    best = sorted(first, key=lambda pilot: -pilot.value)[:FINALISTS]
    finalists = list(dict.fromkeys([own, *((pilot.temperature, pilot.alpha) for pilot in best)]))
    second = yield from trials.round(finalists, 1)
    nothing = yield from _nothing_learned(spec, device, classes, trials.progress(trials.total))
    chosen, reason = decide(second, len(spec.validation), len(pairs), spec.task.measures[0], nothing)
    tried = [(pilot.temperature, pilot.alpha, pilot.value) for pilot in [*second, *first]]
    yield Choice(temperature=chosen.temperature, alpha=chosen.alpha, reason=reason, tried=tried)
    return with_values(config, temperature=chosen.temperature, alpha=chosen.alpha)


@dataclass
class Trials:
    """Two rounds of pilots, each for half of the steps of `spec`. `reached`: what those have reached that are done."""

    config: RunConfig
    spec: FitSpec
    objective: Callable[[RunConfig], Objective]
    device: Device
    reached: dict[str, float]

    @property
    def total(self) -> int:
        return 2 * (self.spec.steps // 2)

    def progress(self, step: int, detail: str = "") -> Progress:
        return Progress(phase="tune", step=step, total=self.total, detail=detail)

    def round(self, pairs: list[tuple[float, float]], number: int) -> Generator[Event, None, list[Pilot]]:
        """Every pair for an equal part of the steps of a round."""
        half = self.total // 2
        steps = max(1, half // len(pairs))
        pilots = []
        for place, (temperature, alpha) in enumerate(pairs):
            name = f"round {number}, {steps} steps, temperature {temperature!r}, alpha {alpha!r}"
            if name not in self.reached:
                for step in self._fit(temperature, alpha, steps, name):
                    note = f"temperature {temperature:g}, alpha {alpha:g}"
                    yield self.progress(number * half + min(half, place * steps + step), note)
            pilots.append(Pilot(temperature, alpha, self.reached[name]))
        return pilots

    def _fit(self, temperature: float, alpha: float, steps: int, name: str) -> Iterator[int]:
        """One pilot; yields its steps."""
        wanted = with_values(self.config, temperature=temperature, alpha=alpha)
        model = replace(self.spec.model, network=copy.deepcopy(self.spec.model.network))
        pilot = replace(self.spec, model=model, objective=self.objective(wanted), steps=steps, validations=1,
                        phase="tune", checkpoint=None)  # fmt: skip
        best = BestWeights()
        for event in fit(pilot, self.device, best):
            if isinstance(event, Progress):
                yield event.step
        self.reached[name] = float(best.value)
        if self.spec.checkpoint is not None and self.device.group.is_first:
            checkpoints.write(self.spec.checkpoint, self.reached)


def _nothing_learned(
    spec: FitSpec, device: Device, classes: int, progress: Progress
) -> Generator[Event, None, Reference]:
    """What a model gets on the validation rows that has learned nothing."""
    held = spec.validation.to(device.torch_device)
    logits = yield from teacher_outputs.logits(spec.model, held, device, lambda _: progress)
    return spec.task.targets.reference(spec.task.statistics(logits, held), classes)


def decide(pilots: list[Pilot], rows: int, tried: int, measure: Measure, nothing: Reference) -> tuple[Pilot, str]:
    """The best pilot, or the first one, which is the user's own pair, unless another is clearly better. Trials of which
    none is better than having learned `nothing` by a standard error and by `CLOSE` were too short to tell.

    >>> accuracy, coin = Measure("accuracy", "Accuracy", ""), Reference({"accuracy": 0.5}, {"accuracy": 0.5})
    >>> decide([Pilot(4, 0.7, 0.80), Pilot(2, 0.9, 0.90)], rows=100, tried=9, measure=accuracy, nothing=coin)[1]
    'In short trials of 9 pairs it reached 90.0 % (accuracy, 100 validation rows), your own pair 80.0 %.'
    """
    own, best = pilots[0], max(pilots, key=lambda pilot: pilot.value)
    mine, highest = measure.written(own.value), measure.written(best.value)
    on = f"{measure.title.lower()}, {rows} validation rows"
    floor = nothing.floor(measure.name)
    if best.value - floor < max(_standard_error(floor, rows, measure), CLOSE * (1 - floor)):
        return own, (
            f"Kept yours: the trials were too short to learn much (at best {highest}, {nothing.words} "
            f"{measure.written(floor)}; {on}). Train longer, or choose by hand."
        )
    if best.value - own.value < CLEARLY * math.hypot(
        *(_standard_error(pilot.value, rows, measure) for pilot in (own, best))
    ):
        return own, (
            f"Kept yours: none of the {tried} pairs was better by more than chance "
            f"({mine} with yours, at best {highest}; {on})."
        )
    return best, f"In short trials of {tried} pairs it reached {highest} ({on}), your own pair {mine}."


def _standard_error(value: float, rows: int, measure: Measure) -> float:
    """Of a share of rows √(p(1 − p) / n), of a correlation (1 − r²) / √n; about so for other measures."""
    if measure.unit == "share":
        return math.sqrt(max(value * (1 - value), 1 / rows) / rows)
    return max(1 - value**2, 1 / rows) / math.sqrt(rows)
