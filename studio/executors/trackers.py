"""A run's curves for other programs: TensorBoard, Weights & Biases, MLflow or Trackio, where they are installed.

`STUDIO_TRACKERS` names them; where their servers are, and who asks, each of them reads from its own settings. One that
does not work is reported once, and the run goes on without it.
"""

import importlib.util
import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio import events, files, tasks
from studio.config.run import RunConfig
from studio.errors import ConfigError
from studio.home import Home

_log_of_run = logging.getLogger(__name__)
PROJECT = "distillation-studio"
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}
"""What each of them is installed as."""

TITLES = {"tensorboard": "TensorBoard", "wandb": "Weights & Biases", "mlflow": "MLflow", "trackio": "Trackio"}


def wanted() -> list[str]:
    """The trackers that `STUDIO_TRACKERS` names; raises `ConfigError` for one that the studio does not know."""
    names = [part.strip() for part in os.environ.get("STUDIO_TRACKERS", "").split(",") if part.strip()]
    unknown = [name for name in names if name not in PACKAGES]
    if unknown:
        raise ConfigError(
            f"STUDIO_TRACKERS must name some of {', '.join(PACKAGES)}, got {unknown[0]!r}.",
            "Correct it or leave it out.",
        )
    return names


def is_installed(name: str) -> bool:
    return importlib.util.find_spec(PACKAGES[name]) is not None


class Trackers:
    """Those that are wanted, for one run. Points up to those of `heard`, {phase/name: step}, they have already."""

    def __init__(self, home: Home, run_id: int, config: RunConfig, heard: Mapping[str, int]) -> None:
        self._folder, self._run_id, self._config, self._heard = home.run(run_id), run_id, config, heard
        self._waiting = wanted()
        self._open: dict[str, Any] = {}

    def take(self, event: events.Event) -> Iterator[events.Log]:
        """Pass an event on; yields what a person should know."""
        step, values = _point(event)
        new = {name: value for name, value in values.items() if step is None or step > self._heard.get(name, -1)}
        if not new:
            return
        for name in self._waiting:  # not before there is something: by then the process has found its place
            yield from self._try(name, self._start)
        self._waiting = []
        for name in list(self._open):
            yield from self._try(name, lambda name: _log(self._open[name], new, step))

    def close(self) -> None:
        for name, tracker in self._open.items():
            try:
                tracker.finish()
            except Exception:  # noqa: BLE001  see `_try`; it stands in the log of the run
                _log_of_run.exception("%s did not take the last points of run %s.", name, self._run_id)

    def _try(self, name: str, action: Any) -> Iterator[events.Log]:
        try:
            action(name)
        except Exception as error:  # noqa: BLE001  whatever goes wrong in another program, the run goes on
            self._open.pop(name, None)
            text = f"{name} takes no points of this run: {type(error).__name__}: {error}"
            yield events.Log(level="warning", message=text)

    def _start(self, name: str) -> None:
        if not is_installed(name):
            raise ModuleNotFoundError(f"it is not installed: pip install {PACKAGES[name]}")
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState()  # without it their logger refuses to speak
        known = self._known()
        title = f"run {self._run_id}"
        match name:
            case "tensorboard":
                words: dict[str, Any] = {"run_name": "tensorboard", "logging_dir": self._folder}
            case "wandb":
                words = {"run_name": PROJECT, "name": title, "id": known["id"], "resume": "allow"}
            case "trackio":
                words = {"run_name": PROJECT, "name": f"{title} {known['id']}", "resume": "allow"}
            case "mlflow":
                words = {"experiment_name": PROJECT, "run_name": title, "run_id": known.get("mlflow")}
        tracker = LOGGER_TYPE_TO_CLASS[name](**words)
        tracker.start()
        self._open[name] = tracker
        if name == "mlflow":
            self._remember(known | {"mlflow": tracker.tracker.info.run_id})
        if not self._heard:
            tracker.store_init_configuration(_settings(self._config))

    def _known(self) -> dict[str, str]:
        """By what names the trackers know this run; kept, so that it goes on there too."""
        if not self._names.exists():
            self._remember({"id": uuid.uuid4().hex[:12]})
        known: dict[str, str] = json.loads(self._names.read_text())
        return known

    def _remember(self, names: dict[str, str]) -> None:
        with files.whole_file(self._names) as part:
            part.write_text(json.dumps(names))

    @property
    def _names(self) -> Path:
        return self._folder / "trackers.json"


def _point(event: events.Event) -> tuple[int | None, dict[str, float]]:
    """(step, values by phase/name) of what is a number; results have no step."""
    match event:
        case events.Metrics():
            values = {name: tasks.known_as(name, value) for name, value in event.values.items()}
            return event.step, {f"{event.phase}/{name}": value for name, value in values.items()}
        case events.DeviceUse():
            return event.seconds, {f"machine/{name}": value for name, value in event.values.items()}
        case events.Evaluation():
            split = f"{event.split}/" if event.split else ""
            return None, {f"result/{split}{event.role}/{event.metric}": tasks.known_as(event.metric, event.value)}
    return None, {}


def _log(tracker: Any, values: dict[str, float], step: int | None) -> None:
    """Each phase counts its own steps. Weights & Biases has one count for all, and another way to say so."""
    if tracker.name != "wandb" or step is None:
        tracker.log(values, step=None if tracker.name == "wandb" else step or 0)
        return
    phase = next(iter(values)).partition("/")[0]
    tracker.tracker.define_metric(f"{phase}/*", step_metric=f"{phase}/step")
    tracker.log(values | {f"{phase}/step": step})


def _settings(config: RunConfig) -> dict[str, Any]:
    """The settings as plain values: lists and such as JSON."""
    plain = config.model_dump(mode="json", exclude_none=True)
    return {name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in plain.items()}
