"""The palette of assets/studio.css can be read on every ground, light and dark."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "assets" / "studio.css").read_text()
PAIRS = {
    name: colours for name, *colours in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS)
}
GROUNDS = ("paper", "card")


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """As WCAG 2 defines it."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "mute", *(name for name in PAIRS if name.endswith("-text"))])
def test_text_stands_out_from_its_ground(name, scheme):
    own = {"careful-text": ("careful",), "bad-text": ("bad",), "student-text": (*GROUNDS, "good")}
    for ground in own.get(name, GROUNDS):
        assert contrast(PAIRS[name][scheme], PAIRS[ground][scheme]) >= 4.5, ground


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["teacher", "student", "control", "untouched", "baseline", "assistant"])
def test_what_is_drawn_stands_out_from_its_ground(name, scheme):
    for ground in GROUNDS:
        assert contrast(PAIRS[name][scheme], PAIRS[ground][scheme]) >= 3, ground


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_of_a_primary_button_stand_out_from_it(scheme):
    config = (Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text()
    ground = config.split(f"[theme.{scheme}]")[1].split('primaryColor = "')[1][:7]
    rule = re.search(r'button\[kind\^="primary"\]:not\(:disabled\) \* \{ color: light-dark\((#\w{6}), (#\w{6})\)', CSS)
    assert rule is not None
    assert contrast(rule[1 if scheme == "light" else 2], ground) >= 4.5


def test_a_known_contrast_is_worked_out_as_the_standard_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
