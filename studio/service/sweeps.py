"""A search for settings: trials are ordinary runs in the queue; what to try next is asked of Optuna.

Its state is what the store holds: the study is built anew from the trials whenever it is asked, so that a search goes
on after its process was killed. Trials learn without a control and are measured on validation rows; a teacher that the
first one trained teaches the others, and its answers are read from where the first one recorded them. When all trials
are over, the best settings that keep to the limits are trained once more, with a control, and only that run reads the
test rows.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio import events, tasks
from studio.config.reading import with_values
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.config.sweep import Range, SweepConfig, is_whole, limits
from studio.errors import StoreError, StudioError
from studio.home import Home
from studio.machine.identity import new_owner
from studio.service import runs
from studio.store.rows import RunRow
from studio.store.run_list import Wanted
from studio.store.store import Store
from studio.store.sweeps import SweepRow, TrialRow

if TYPE_CHECKING:
    import optuna

LEAST_TO_PRUNE, LEAST_TO_EXPLAIN = 4, 10
"""Trials that must be over before one is stopped early, and before anything is said of which setting matters."""

TRIAL = {"control": False, "smoothed_control": "never", "seeds": 1, "onnx_times": False, "evaluate_on": "validation"}
"""What a trial leaves out: that is told of the winner alone."""

FAILED = 3
"""So many trials may fail one after another before the search does."""

MOST_LOOKED_AT, SAME_VALUE = 500, 1e-6
"""So many runs are looked through for the one that a search began from; values that are nearer are the same."""

PAUSE_S = 1.0
"""Between two looks at what another process carries out."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """A trial and what came of it: the deciding measure on validation rows, what the student takes. None where it was
    not measured (yet)."""

    trial: TrialRow
    run: RunRow | None
    value: float | None = None
    milliseconds: float | None = None
    size_bytes: float | None = None
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def is_over(self) -> bool:
        return self.run is not None and self.run.is_over and not self.run.paused


def tried(store: Store, sweep: SweepRow) -> list[Tried]:
    """All trials so far."""
    name = measure(store, sweep).name
    found = []
    for trial in store.trials(sweep.id):
        if trial.run_id is None:
            found.append(Tried(trial, None))
            continue
        measured = {
            (evaluation.role, evaluation.metric): evaluation.value for evaluation in store.evaluations(trial.run_id)
        }
        points = [(point.step, point.value) for point in store.curve(trial.run_id)
                  if point.phase == "distill" and point.name == name]  # fmt: skip
        found.append(
            Tried(
                trial,
                store.run(trial.run_id),
                measured.get(("student", name)),
                measured.get(("student", "latency_ms")),
                measured.get(("student", "size_bytes")),
                tuple(points),
            )
        )
    return found


def measure(store: Store, sweep: SweepRow) -> tasks.Measure:
    """What the search makes as high as it can."""
    data = store.dataset(sweep.config.base.dataset)
    return tasks.get(data.task, data.multi_label).measures[0]


def began_from(store: Store, sweep: SweepRow) -> RunRow | None:
    """The run whose settings the search varies, on the data that its trials learn; None where no run has had them."""
    data = store.dataset(sweep.config.base.dataset)
    base = tasks.resolved(sweep.config.base, tasks.get(data.task, data.multi_label), len(data.labels))
    listed = store.find_runs(Wanted(states=("finished",), dataset_ids=(data.id,), archived=True), MOST_LOOKED_AT)
    return next((entry.run for entry in listed if entry.run.config == base), None)


def value_before(store: Store, before: RunRow, trial: Tried, name: str) -> float | None:
    """What the student of the run before the search reached on the validation rows of its trials: what its curve was at
    its best, where a trial's curve tells its value. None where that cannot be known: the run was on other rows, has the
    mean of several seeds, or went on after its curve."""
    if trial.run is None or trial.run.dataset_id != before.dataset_id or before.config.seeds != 1:
        return None
    best_look = max((value for _step, value in trial.curve), default=None)
    if best_look is None or trial.value is None or abs(best_look - trial.value) > SAME_VALUE:
        return None
    points = store.curve(before.id, name=name)
    return max((point.value for point in points if point.phase == "distill"), default=None)


def keeps_to(attempt: Tried, config: SweepConfig) -> bool:
    """Whether a student is within the limits of the target."""
    asked = limits(config.target)
    return all(
        limit is None or (value is not None and value <= limit)
        for limit, value in ((asked.milliseconds, attempt.milliseconds), (asked.size_bytes, attempt.size_bytes))
    )


def best(found: Sequence[Tried], config: SweepConfig) -> Tried | None:
    """The best student on validation rows that keeps to the limits; of equals the first."""
    able = [attempt for attempt in found if attempt.value is not None and keeps_to(attempt, config)]
    return max(able, key=lambda attempt: attempt.value or 0.0, default=None)


def advance(store: Store, home: Home) -> None:
    """Queue what is to be tried next, for every search that goes on and has nothing waiting."""
    for sweep_id in store.sweeps_that_go_on():
        try:
            step(store, home, store.sweep(sweep_id))
        except StudioError as error:
            store.set_sweep(sweep_id, "failed", str(error))


def step(store: Store, home: Home, sweep: SweepRow) -> RunRow | None:
    """Queue the next trial of a search, or after the last one the winner; None where there is nothing to do now."""
    found = tried(store, sweep)
    for attempt in found:
        if attempt.run is None:  # the process was killed between asking and queueing
            return _queue(store, home, sweep, found, attempt.trial)
        if attempt.run.status == "queued":
            return attempt.run
    going = [attempt for attempt in found if not attempt.is_over]
    first_is_over = bool(found) and found[0].is_over
    if len(found) < sweep.config.trials and (not found or first_is_over):
        _require_some_success(found)
        number = found[-1].trial.number + 1 if found else 0
        trial = store.add_trial(sweep.id, number, _next(store, sweep, found))
        return _queue(store, home, sweep, found, trial)
    return None if going else _end(store, home, sweep, found)


def _require_some_success(found: Sequence[Tried]) -> None:
    last = [attempt.run for attempt in found[-FAILED:] if attempt.run and attempt.run.status == "failed"]
    if len(last) == FAILED:
        raise StudioError(f"{FAILED} trials failed one after another. The last one: {last[-1].message}", "Mend that.")


def _queue(store: Store, home: Home, sweep: SweepRow, found: Sequence[Tried], trial: TrialRow) -> RunRow:
    config = trial_config(home, sweep.config, trial.params, found)
    run = store.submit(config, key=f"sweep-{sweep.id}-{trial.number}", made_by=sweep.made_by)
    store.carried_by(sweep.id, trial.number, run.id)
    store.describe_run(run.id, name=f"Search {sweep.id}, trial {trial.number + 1}", tags=[f"search {sweep.id}"])
    return run


def trial_config(home: Home, config: SweepConfig, params: Mapping[str, Any], found: Sequence[Tried]) -> RunConfig:
    """The settings of a trial; its teachers are those that an earlier trial trained, where they are the same."""
    values = dict(params) | TRIAL
    trained = next((attempt.run for attempt in found if attempt.run and _trained_teacher(home, attempt.run)), None)
    if trained is not None and not any(name.startswith(("teacher", "more_teachers")) for name in config.search):
        values |= runs.trained_teachers(home, trained)
    return with_values(config.base, **values)


def _trained_teacher(home: Home, run: RunRow) -> bool:
    """Whether the run had to train its teacher, and has."""
    is_borrowed = ModelReference.parse(run.config.teacher).source == "run"
    return not is_borrowed and run.is_over and home.model(run.id, "teacher").is_dir()


def _end(store: Store, home: Home, sweep: SweepRow, found: Sequence[Tried]) -> RunRow | None:
    """Train the best settings anew, with a control: that run alone reads the test rows."""
    winner = best(found, sweep.config)
    if winner is None:
        measured = [attempt for attempt in found if attempt.value is not None]
        message = f"None of {len(measured)} students keeps to the target: {sweep.config.target}."
        store.set_sweep(sweep.id, "finished", message if measured else "No trial came to its end.")
        return None
    config = winner_config(home, sweep.config, winner, found)
    run = store.submit(config, key=f"sweep-{sweep.id}-winner", made_by=sweep.made_by)
    store.describe_run(run.id, name=f"Search {sweep.id}, winner", tags=[f"search {sweep.id}"])
    store.set_sweep(sweep.id, "finished", winner=run.id)
    return run


def winner_config(home: Home, config: SweepConfig, winner: Tried, found: Sequence[Tried]) -> RunConfig:
    """The winner's settings with all that trials leave out."""
    plain = trial_config(home, config, winner.trial.params, found)
    base = config.base.model_dump()
    return with_values(plain, **{name: base[name] for name in TRIAL} | {"evaluate_on": "test"})


LONGER = 3


def longer(config: RunConfig) -> RunConfig:
    """The same settings for three times as long."""
    if config.epochs is not None:
        return with_values(config, epochs=min(1000, LONGER * config.epochs))
    return with_values(config, training_length=min(100.0, LONGER * config.training_length))


def carried(home: Home, store: Store, sweep_id: int) -> Iterator[RunRow]:
    """Carry out a search: one trial after another, then the winner; yields each run when it is over. What another
    process has taken, such as a studio that is open, is waited for.

    A search that cannot go on is marked as failed.
    """
    before = store.sweep(sweep_id)
    seen = {attempt.trial.run_id for attempt in tried(store, before) if attempt.is_over}
    had_winner = before.winner is not None and store.run(before.winner).is_over
    while (row := store.sweep(sweep_id)).status == "running":
        try:
            run = step(store, home, row)
        except StudioError as error:
            store.set_sweep(sweep_id, "failed", str(error))
            return
        if run is None or not _carry(home, store, run):
            time.sleep(PAUSE_S)
        over = [
            attempt.run
            for attempt in tried(store, row)
            if attempt.run and attempt.is_over and attempt.run.id not in seen
        ]
        seen |= {run.id for run in over}
        yield from over
    last = store.sweep(sweep_id).winner
    while last is not None and not store.run(last).is_over:
        if not _carry(home, store, store.run(last)):
            time.sleep(PAUSE_S)
    if last is not None and not had_winner:
        yield store.run(last)


def _carry(home: Home, store: Store, run: RunRow) -> bool:
    """Carry out a run that waits; False where another process has taken it."""
    try:
        mine = store.resume(run.id, owner=new_owner())
    except StoreError:
        return False
    for _ in watched(store, mine, runs.carry(store, home, mine)):
        pass
    return True


# --- what Optuna is asked


def study(config: SweepConfig, found: Sequence[Tried]) -> "optuna.Study":
    """The study that these trials make: those that are over with their values, those that go on as such."""
    import optuna  # it takes a second to open

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=config.base.seed + len(found), n_startup_trials=_at_random(config))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=LEAST_TO_PRUNE)
    made = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    space = distributions(config)
    for attempt in found:
        made.add_trial(_frozen(attempt, config, space))
    return made


def _at_random(config: SweepConfig) -> int:
    """So many trials are drawn by chance before the sampler begins to learn from them."""
    return max(3, min(10, config.trials // 3))


def _frozen(attempt: Tried, config: SweepConfig, space: Mapping[str, Any]) -> "optuna.trial.FrozenTrial":
    import optuna

    states = optuna.trial.TrialState
    looks = dict(attempt.curve)
    plain: dict[str, Any] = {
        "params": {name: _key(config, name, value) for name, value in attempt.trial.params.items()},
        "distributions": dict(space),
        "intermediate_values": looks,
    }
    if attempt.value is not None:
        return optuna.trial.create_trial(
            state=states.COMPLETE, value=attempt.value, constraints=_overshoot(attempt, config), **plain
        )
    if attempt.trial.pruned and looks:
        return optuna.trial.create_trial(state=states.PRUNED, value=max(looks.values()), **plain)
    return optuna.trial.create_trial(state=states.FAIL if attempt.is_over else states.RUNNING, **plain)


def _overshoot(attempt: Tried, config: SweepConfig) -> dict[str, float]:
    """By which share of each limit a student is over it; below 0 where it keeps to it."""
    asked = limits(config.target)
    pairs = {
        "milliseconds": (attempt.milliseconds, asked.milliseconds),
        "size_bytes": (attempt.size_bytes, asked.size_bytes),
    }
    return {name: value / limit - 1 for name, (value, limit) in pairs.items() if limit and value is not None}


def distributions(config: SweepConfig) -> dict[str, Any]:
    """The values of each setting as Optuna knows them; of a list the place, since a value may itself be a list."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, values in config.search.items():
        if not isinstance(values, Range):
            found[name] = CategoricalDistribution(list(range(len(values))))
        elif is_whole(name):
            found[name] = IntDistribution(round(values.low), round(values.high), log=values.log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
    return found


def _key(config: SweepConfig, name: str, value: Any) -> Any:
    """A value as Optuna knows it."""
    values = config.search[name]
    if isinstance(values, Range):
        return value
    listed = [list(choice) if isinstance(choice, tuple) else choice for choice in values]
    return listed.index(list(value) if isinstance(value, tuple) else value)


def _next(store: Store, sweep: SweepRow, found: Sequence[Tried]) -> dict[str, Any]:
    """The settings that are tried next; where they make no run together, others."""
    config, space = sweep.config, distributions(sweep.config)
    asked = study(config, found)
    for _attempt in range(20):
        trial = asked.ask(space)
        params = {}
        for name, value in trial.params.items():
            values = config.search[name]
            params[name] = value if isinstance(values, Range) else values[value]
        try:
            with_values(config.base, **params)
        except StudioError:
            asked.tell(trial, state=_fail())
            continue
        return params
    raise StudioError("No settings of this search make a run together.", "Change the ranges.")


def _fail() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def importance(config: SweepConfig, found: Sequence[Tried]) -> dict[str, float]:
    """How much each setting decided the result, shares of 1 (PED-ANOVA; Watanabe, Bansal & Hutter, 2023); empty while
    too few trials are over to say so."""
    over = [attempt for attempt in found if attempt.value is not None]
    if len(over) < LEAST_TO_EXPLAIN or len({attempt.value for attempt in over}) < 2:
        return {}
    import optuna

    importances = optuna.importance.get_param_importances(study(config, over))
    return {name: float(value) for name, value in importances.items()}


# --- stopping what leads nowhere


def watched(store: Store, run: RunRow, said: Iterator[events.Event]) -> Iterator[events.Event]:
    """The events of a run, unchanged. A trial that is worse than most others were at that point is asked to stop."""
    sweep_id = store.sweep_of(run.id)
    sweep = store.sweep(sweep_id) if sweep_id is not None else None
    name = measure(store, sweep).name if sweep else ""
    for event in said:
        yield event
        if sweep is None or not sweep.config.prune or not isinstance(event, events.Metrics):
            continue
        if event.phase == "distill" and name in event.values and should_stop(sweep.config, run.id, tried(store, sweep)):
            store.prune(run.id)
            store.request_stop(run.id)
            sweep = None


def should_stop(config: SweepConfig, run_id: int, found: Sequence[Tried]) -> bool:
    """Whether the best that a trial reached so far is below the median of what the others had at its step."""
    mine = next((attempt for attempt in found if attempt.trial.run_id == run_id), None)
    others = [
        attempt
        for attempt in found
        if attempt.trial.run_id != run_id and (attempt.value is not None or attempt.trial.pruned)
    ]
    if mine is None or not mine.curve or len(others) < LEAST_TO_PRUNE:
        return False

    together = study(config, others)
    trial = together.ask(distributions(config))
    for step_number, value in mine.curve:
        trial.report(value, step_number)
    return bool(trial.should_prune())


def facts(store: Store, sweep: SweepRow) -> dict[str, Any]:
    """A search as plain values: what `python -m studio sweep --json` prints."""
    found = tried(store, sweep)
    chosen, decides = best(found, sweep.config), measure(store, sweep)
    return {
        "sweep": sweep.id,
        "status": sweep.status,
        "message": sweep.message,
        "target": sweep.config.target,
        "measure": decides.name,
        "trials": [
            {
                "number": attempt.trial.number, "run": attempt.trial.run_id, "params": attempt.trial.params,
                "value": None if attempt.value is None else decides.shown(attempt.value),
                "latency_ms": attempt.milliseconds, "size_bytes": attempt.size_bytes, "pruned": attempt.trial.pruned,
                "keeps_to_target": keeps_to(attempt, sweep.config),
            }
            for attempt in found
        ],
        "best": chosen.trial.number if chosen else None,
        "winner": sweep.winner,
        "importance": importance(sweep.config, found),
    }  # fmt: skip
