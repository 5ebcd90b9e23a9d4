"""Widgets for the parameters of a run, made from RunConfig alone."""

import sys
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from pages._language import _
from studio.config.reading import bounds
from studio.config.run import RunConfig
from studio.machine import gpus

SLIDERS = ("temperature", "alpha", "prune_ratio", "epochs", "teacher_epochs", "batch_size")
AUTO = ("learning_rate", "teacher_learning_rate", "kept_answers")


def _extra(name: str) -> dict[str, Any]:
    extra = RunConfig.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def expert_names() -> list[str]:
    return [name for name in RunConfig.model_fields if _extra(name).get("expert")]


def parameter(name: str, value: Any, origin: str = "") -> Any:
    """The widget of one parameter; `value` is shown until the user changes it. `origin` says where that comes from and
    stands beside its name."""
    field = RunConfig.model_fields[name]
    key = f"setting-{name}"
    origin = _("yours") if origin and is_changed(key, value) else origin
    label = _(field.title or name) + (f" :gray[· {origin}]" if origin else "")
    words: dict[str, Any] = {"label": label, "help": _(field.description or "")}
    if name in SLIDERS:
        return _slider(name, value, key, words)
    if name in AUTO:
        text = st.text_input(**words, value="" if value is None else f"{value:g}", placeholder=_("automatic"), key=key)
        return text.strip() or None
    if field.annotation is bool:
        return st.toggle(**words, value=value, key=key)
    if get_origin(field.annotation) is Literal:
        options = list(get_args(field.annotation))
        return st.selectbox(
            **words, options=options, index=options.index(value), format_func=lambda option: _(option), key=key
        )
    if name == "device":
        return _device(value, key, words)
    low, high = bounds(name)
    shown = {} if key in st.session_state else {"value": value}
    if isinstance(value, float):
        return st.number_input(
            **words, **shown, min_value=float(low or 0), max_value=float(high or 1e9), format="%g", key=key
        )
    return st.number_input(**words, **shown, min_value=int(low or 0), max_value=int(high or 10**9), key=key)


def as_shown(name: str, value: Any) -> Any:
    """What the widget of a setting holds at this value.

    >>> as_shown("epochs", None), as_shown("learning_rate", 2e-4), as_shown("alpha", 0.5)
    (0, '0.0002', 0.5)
    """
    if name in AUTO:
        return "" if value is None else f"{value:g}"
    return 0 if value is None and name in SLIDERS else value


def is_changed(key: str, value: Any) -> bool:
    """Whether somebody has set a widget to something else than the value that it showed at first."""
    shown = st.session_state.get(key, value)
    if shown in ("", 0) and value in (None, 0):
        return False
    if isinstance(shown, str) and isinstance(value, float):
        return shown != f"{value:g}"
    return bool(shown != value)


def _device(value: str, key: str, words: dict[str, Any]) -> str:
    """The devices of this machine by name; another one can be typed, since a cluster may have it."""
    cards = {f"cuda:{number}": card for number, card in enumerate(gpus.names())}
    options = list(
        dict.fromkeys(["auto", "cpu", "cuda", *cards, *(["mps"] if sys.platform == "darwin" else []), value])
    )
    return st.selectbox(
        **words,
        options=options,
        index=options.index(value),
        format_func=lambda device: f"{device} ({cards[device]})" if device in cards else device,
        accept_new_options=True,
        key=key,
    )


def _slider(name: str, value: Any, key: str, words: dict[str, Any]) -> Any:
    """A slider; of a setting that may be left open 0 is shown as "Automatic"."""
    low, high = bounds(name)
    extra, annotation = _extra(name), RunConfig.model_fields[name].annotation
    if annotation == int | None:
        words["help"] = _("{help} On the slider that is “Automatic”.", help=words["help"])
        now = st.session_state.setdefault(key, value or 0)
        options = sorted({*range(extra["slider_max"] + 1), value or 0, now})
        chosen: Any = st.select_slider(
            words["label"],
            options,
            format_func=lambda option: str(option or _("Automatic")),
            key=key,
            help=words["help"],
        )
        return chosen or None
    start = extra.get("slider_min", low) or 0
    end = max(extra.get("slider_max", high) or 0, value)
    kind = int if annotation is int else float
    step = 1 if kind is int else extra.get("step", 0.01)
    shown: dict[str, Any] = {} if key in st.session_state else {"value": kind(value)}  # a preset has set it already
    return st.slider(**words, **shown, min_value=kind(start), max_value=kind(end), step=step, key=key)
