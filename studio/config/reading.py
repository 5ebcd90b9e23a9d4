"""A RunConfig from YAML, `key=value` and plain values, and the sentences where something is wrong with them."""

import difflib
from collections.abc import Iterable
from typing import Any, get_origin

import yaml
from pydantic import ValidationError

from studio.config import yaml_text
from studio.config.run import RunConfig
from studio.errors import ConfigError

CHOSEN: dict[str, Any] = {"epochs": None, "teacher_epochs": None}
PRESETS: dict[str, dict[str, Any]] = {
    "Fast": CHOSEN | {"training_length": 0.3, "batch_size": 64, "max_length": 64},
    "Balanced": CHOSEN | {"training_length": 1.0, "batch_size": 32, "max_length": 128},
    "Best": CHOSEN | {"training_length": 3.0, "batch_size": 32, "max_length": 256},
}
PRESET_HELP = {
    "Fast": "A first look in minutes.",
    "Balanced": "A good student in reasonable time.",
    "Best": "Longer training for the last per cent.",
}


def parse_config(values: dict[str, Any]) -> RunConfig:
    """A RunConfig from plain values; raises `ConfigError` that names each wrong value and its range."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(" ".join(_sentences(error)), "Change it and try again.") from error


def readable_part(values: dict[str, Any]) -> RunConfig:
    """What this version knows of settings that another one wrote: for showing, never for a run.

    >>> readable_part({"dataset": "reviews", "epochs": -1, "colour": "red"}).dataset
    'reviews'
    """
    known = {name: value for name, value in values.items() if name in RunConfig.model_fields}
    try:
        RunConfig.model_validate(known)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
        known = {name: value for name, value in known.items() if name not in wrong}
    missing = {name: UNKNOWN for name, field in RunConfig.model_fields.items() if field.is_required()}
    return RunConfig.model_construct(**(missing | known))


UNKNOWN = "unknown"


def with_values(config: RunConfig, **values: Any) -> RunConfig:
    """A validated copy with some values changed."""
    return parse_config({**config.model_dump(), **values})


def parse_yaml(text: str, overrides: Iterable[str] = ()) -> RunConfig:
    """A RunConfig from YAML text and `key=value` overrides, which win.

    >>> parse_yaml("{dataset: d, teacher: builtin/mlp-1200, student: builtin/mlp-64}", ["epochs=7"]).epochs
    7
    """
    try:
        values: Any = yaml_text.values(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The configuration is not valid YAML: {error}.", "Correct it and try again.") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The configuration must be a list of `name: value` lines, got {type(values).__name__}.",
            "Write for example `temperature: 4`.",
        )
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set needs key=value, got {item!r}.", "Write for example `--set epochs=3`.")
        values[key.strip()] = _value(key.strip(), value.strip())
    return parse_config({str(key): value for key, value in values.items()})


def _value(name: str, text: str) -> object:
    """A value from the command line: `true`, `null`, numbers, and lists for settings that hold one, as YAML reads them;
    everything else as it stands.

    >>> _value("terms", "[soft_target, hint]"), _value("assistants", "[]"), _value("dataset", "[mine]")
    (['soft_target', 'hint'], [], '[mine]')
    >>> _value("assistants", ""), _value("dataset", "")
    ([], None)
    """
    try:
        value = yaml_text.values(text)
    except yaml.YAMLError:
        return text
    if _holds_a_list(name) and (isinstance(value, list) or not text):
        return value or []
    return value if isinstance(value, bool | int | float) or value is None else text


def _holds_a_list(name: str) -> bool:
    field = RunConfig.model_fields.get(name)
    return field is not None and get_origin(field.annotation) is tuple


def _unknown(name: str) -> str:
    """That there is no such setting, and which one may have been meant."""
    near = difflib.get_close_matches(name, RunConfig.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(RunConfig.model_fields)}."
    return f"There is no setting {name!r}; {hint}"


def _sentences(error: ValidationError) -> list[str]:
    """`alpha must be between 0 and 1, got 1.4.` for each thing that is wrong."""
    sentences = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        value = problem.get("input")
        if problem["type"] == "missing":
            sentences.append(f"{name} is missing: {RunConfig.model_fields[name].description}")
        elif problem["type"] == "extra_forbidden":
            sentences.append(_unknown(name))
        elif problem["type"] == "value_error":
            prefix = f"{name}: " if name else ""
            sentences.append(f"{prefix}{problem['ctx']['error']}.")
        elif "." in name:  # inside a list
            sentences.append(f"{name} must be {problem['msg'].removeprefix('Input should be ')}, got {value!r}.")
        else:
            sentences.append(f"{name} must be {_expected(name)}, got {value!r}.")
    return sentences


def bounds(name: str) -> tuple[float | None, float | None]:
    """The lowest and the highest value of a setting; None where there is no end."""
    low = high = None
    for rule in RunConfig.model_fields[name].metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", high)
    return low, high


def _expected(name: str) -> str:
    """In words, what a setting takes."""
    field = RunConfig.model_fields.get(name)
    if field is None:
        return "a known setting"
    schema = RunConfig.model_json_schema()["properties"][name]
    choices = schema.get("enum") or next((part["enum"] for part in schema.get("anyOf", ()) if "enum" in part), None)
    if choices:
        return "one of " + ", ".join(map(str, choices))
    low, high = bounds(name)
    if low is not None and high is not None:
        above = any(getattr(rule, "gt", None) is not None for rule in field.metadata)
        whole = "a whole number " if field.annotation is int else ""
        return f"{whole}above {low:g} and at most {high:g}" if above else f"{whole}between {low:g} and {high:g}"
    if name == "device":
        return "auto, cpu, mps, cuda or cuda:N"
    if _holds_a_list(name):
        return "a list"
    return {bool: "true or false", str: "a text"}.get(field.annotation, "a valid value")  # type: ignore[arg-type]
