"""What the words mean, and how a verdict is read: a good one and a bad one, and what one does then."""

import streamlit as st

from pages import _pictures as pictures
from pages._first_steps import how_it_works
from pages._language import N_, _
from pages._scores import Number
from pages._words import OUTCOMES

EXAMPLES = (
    ("better", ("98", "11.5", "5.1"),
     N_("The small model is right nearly as often as the large one, and clearly more often than it would be alone."),
     N_("Read its cautions, try it in the Playground on rows of your own, then take it away as a folder or as ONNX.")),
    ("no_difference", ("97", "11.5", "5.1"),
     N_("The small model is good, but it may be as good without the teacher: the difference may be chance."),
     N_("Use the small model; the teacher is not needed for it. Or give the teacher more to tell: rows "
        "without labels.")),
    ("not_learned", ("41", "60", "15"),
     N_("It answers hardly better than the most common label would."),
     N_("Let it learn longer (Best), choose a larger student, or look at the data check: labels that contradict each "
        "other teach nothing.")),
)  # fmt: skip
WORDS = (
    (
        N_("The models"),
        {
            N_("Teacher"): N_("The large model. It knows the answers, but is slow or expensive to run."),
            N_("Student"): N_("The small model that learns to answer as the teacher does. It is what you take away."),
            N_("Control"): N_(
                "The same small model, trained on the same rows for as many steps, but without the teacher. The "
                "difference is what the teacher brought."
            ),
            N_("Baseline"): N_(
                "A simple method that takes seconds, such as counting words. A network that is no better is not "
                "worth its size."
            ),
            N_("Distillation"): N_(
                "Training a student on the answers of a teacher, not on labels alone. Those answers say how sure "
                "the teacher is of each label, which teaches more than the one right label."
            ),
        },
    ),
    (
        N_("The numbers"),
        {
            N_("Kept"): N_(
                "The student’s measure as a share of the teacher’s. 97 % kept: where the teacher is right 100 times, "
                "the student is right 97 times, not always on the same rows."
            ),
            N_("Accuracy"): N_("The share of test rows whose label the model gets right."),
            N_("Macro F1"): N_(
                "How well the model does on each label, all labels counting alike: rare ones as much as common ones."
            ),
            N_("Point"): N_("One per cent of the test rows. From 85 % to 87 % are two points."),
            N_("95 % interval"): N_(
                "With other test rows a number would come out a little differently. The interval says how far. "
                "Where the interval of a difference holds 0, there may be no difference."
            ),
        },
    ),
    (
        N_("The rows"),
        {
            N_("Validation rows"): N_("Rows that no model learns from; they choose the best state of each model."),
            N_("Test rows"): N_("Rows that are read once, at the very end. The verdict speaks of them alone."),
            N_("Overfitting"): N_("A model that knows its training rows by heart and is worse on others."),
            N_("Seed"): N_("The number that chance begins with. Several seeds say how much of a result is luck."),
        },
    ),
    (
        N_("What you take away"),
        {
            N_("int8"): N_(
                "Whole numbers in place of fractions: about four times smaller, and often faster for texts."
            ),
            N_("ONNX"): N_("A file format for models that runs without Python, on phones, in browsers and on servers."),
        },
    ),
)
KNOBS = (
    (
        N_("Temperature"),
        N_("Softens the teacher’s answers: at 1 it names one label, at 4 it also tells which others come near."),
        pictures.softened,
        4.0,
    ),
    (
        N_("Alpha"),
        N_("How much the student listens to the teacher (1) rather than to the labels (0)."),
        pictures.shared,
        0.7,
    ),
    (
        N_("Prune ratio"),
        N_("The share of neurons that are removed from the student before it learns."),
        pictures.thinner,
        0.5,
    ),
)


def examples() -> None:
    for column, (outcome, values, meaning, then) in zip(st.columns(len(EXAMPLES)), EXAMPLES, strict=True):
        with column, st.container(border=True, height="stretch", key=f"card-{outcome}"):
            known = OUTCOMES[outcome]
            st.html(pictures.badge(known.words, known.kind))
            names = (("%", _("kept")), ("×", _("smaller")), ("×", _("faster")))
            numbers = [
                Number(value, unit, words, "", words) for value, (unit, words) in zip(values, names, strict=True)
            ]
            st.html(pictures.numbers(numbers, few=True))
            st.markdown(_(meaning))
            st.markdown(_("**What to do:** {then}", then=_(then)))


def knobs() -> None:
    """The three settings that people ask about, each with what it does."""
    for column, (word, meaning, picture, value) in zip(st.columns(len(KNOBS)), KNOBS, strict=True):
        with column, st.container(border=True, height="stretch", key=f"card-knob-{picture.__name__}"):
            st.subheader(_(word), anchor=False)
            st.html(picture(value))
            st.markdown(_(meaning))


st.title(_("Guide"), anchor=False)
st.header(_("The way to a small model"), anchor=False)
how_it_works()
st.header(_("How to read a verdict"), anchor=False)
st.caption(_("Three verdicts with example numbers, and what one does then."))
examples()
st.header(_("The words"), anchor=False)
for title, known in WORDS:
    st.subheader(_(title), anchor=False)
    st.html(pictures.words({_(word): _(meaning) for word, meaning in known.items()}))
st.header(_("Three settings, in pictures"), anchor=False)
st.caption(_("The studio sets them for you; you can change them on New run."))
knobs()
with st.container(horizontal=True):
    st.page_link("home.py", label=_("Home"), icon=":material/home:", width="content")
    st.page_link("new_run.py", label=_("New run"), icon=":material/add_circle:", width="content")
