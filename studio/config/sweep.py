"""A search for settings: which are varied, between which values, and what the best one must keep to."""

import re
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from studio.config import yaml_text
from studio.config.reading import parse_config, with_values
from studio.config.run import RunConfig
from studio.errors import ConfigError

NOT_SEARCHED = ("dataset", "task", "seeds", "seed", "control", "smoothed_control", "evaluate_on", "device", "devices",
                "training_share")  # fmt: skip
"""Other data is another question, and what a trial leaves out is no setting of it."""

MOST_TRIALS = 1_000
LONGEST_RANGE = 100
_RANGE = re.compile(r"\s*(?P<low>[-+.\deE]+)\s*\.\.\s*(?P<high>[-+.\deE]+)\s*(?P<log>:\s*log)?\s*")
_LIMIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|kB|KB|MB|GB)\b")
_UNITS = {"ms": 1.0, "s": 1e3, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}


class Range(BaseModel):
    """All numbers between two; `log`: as many between 1 and 10 as between 10 and 100."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _is_one(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"a range goes from a number to a higher one, got {self.low:g}..{self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, got {self.low:g}")
        return self


class Limits(BaseModel):
    """What a student may take: milliseconds for one row, bytes on disk; None: as much as it wants."""

    model_config = ConfigDict(frozen=True)

    milliseconds: float | None = None
    size_bytes: float | None = None


class SweepConfig(BaseModel):
    """Everything that decides a search. `base` are the settings of a run; `search` says of some of them which values
    are tried: `1..10`, `1e-5..1e-3:log`, or a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: RunConfig
    search: dict[str, Range | tuple[Any, ...]] = Field(min_length=1)
    trials: Annotated[int, Field(ge=2, le=MOST_TRIALS)] = 20
    target: str = Field("best", max_length=200)
    prune: bool = True

    @field_validator("search", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        return {name: read_values(written) for name, written in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits(self) -> "SweepConfig":
        for name, values in self.search.items():
            if name not in RunConfig.model_fields or name in NOT_SEARCHED:
                raise ValueError(f"search names {name!r}, which cannot be varied")
            if isinstance(values, tuple) and len(values) < 2:
                raise ValueError(f"search needs two values or more of {name}, got {len(values)}")
            if isinstance(values, tuple) and len(values) > MOST_TRIALS:
                raise ValueError(f"search takes at most {MOST_TRIALS} values of {name}, got {len(values):,}")
            ends = values if isinstance(values, tuple) else (values.low, values.high)
            whole = is_whole(name)
            for end in ends:
                try:
                    with_values(self.base, **{name: round(end) if whole and isinstance(values, Range) else end})
                except ConfigError as error:
                    raise ValueError(f"search: {error.message.rstrip('.')}") from error
        limits(self.target)
        return self


def is_whole(name: str) -> bool:
    """Whether a setting is a whole number, or may be empty in place of one."""
    return "int" in str(RunConfig.model_fields[name].annotation)


def read_values(value: object) -> object:
    """The values of a setting as they are written.

    >>> read_values("1..10"), read_values("1e-5..1e-3:log").log, read_values("a, b")
    (Range(low=1.0, high=10.0, log=False), True, ('a', 'b'))
    """
    if isinstance(value, str):
        found = _RANGE.fullmatch(value) if len(value) <= LONGEST_RANGE else None
        if found is None:
            return tuple(yaml_text.values(part) for part in value.split(",") if part.strip())
        return Range(low=float(found["low"]), high=float(found["high"]), log=found["log"] is not None)
    if isinstance(value, list | tuple):
        return tuple(value)
    return Range(**value) if isinstance(value, dict) else value


def limits(target: str) -> Limits:
    """What a target asks of the student. Raises `ValueError` where it says something else.

    >>> limits("best accuracy under 5 ms and 10 MB")
    Limits(milliseconds=5.0, size_bytes=10000000.0)
    >>> limits("best")
    Limits(milliseconds=None, size_bytes=None)
    """
    found: dict[str, float] = {}
    for limit in _LIMIT.finditer(target):
        unit = limit["unit"]
        found["milliseconds" if unit in ("ms", "s") else "size_bytes"] = float(limit["number"]) * _UNITS[unit]
    if any(letter.isdigit() for letter in _LIMIT.sub("", target)) or any(value <= 0 for value in found.values()):
        raise ValueError(f"target must be like `best under 5 ms and 10 MB`, got {target!r}")
    return Limits(**found)


def parse_sweep(values: dict[str, Any]) -> SweepConfig:
    """A search from plain values; raises `ConfigError` that names what is wrong."""
    values = dict(values)
    if isinstance(values.get("base"), dict):
        values["base"] = parse_config(values["base"])
    try:
        return SweepConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_sentence(problem) for problem in error.errors())
        raise ConfigError(f"The search cannot be used: {problems}.", "Change it and try again.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The values of the search cannot be read: {error}.", "Write 1..10, or a, b.") from error


def _sentence(problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}, got {problem.get('input')!r}"


def parse_sweep_yaml(text: str) -> SweepConfig:
    """A search from YAML: base, search, trials, target."""
    try:
        values = yaml_text.values(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The search is not valid YAML: {error}.", "Correct it and try again.") from error
    if not isinstance(values, dict):
        raise ConfigError("A search is YAML with base, search, trials and target.", "See docs/ways.md.")
    return parse_sweep(values)
