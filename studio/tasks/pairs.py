"""Sentence-pair classification: one label for two texts that are read together (Devlin et al., 2019, section 3)."""

from studio.tasks.classes import Classes
from studio.tasks.task import Task
from studio.tasks.text import TextInputs

TASK = Task(
    name="sentence-pair-classification",
    title="Sentence pairs",
    when="One label for two texts, such as whether they mean the same or one follows from the other.",
    auto_model_name="AutoModelForSequenceClassification",
    pipeline_tag="text-classification",
    inputs=TextInputs(
        pairs="always", builtins=("transformer-base", "transformer-small", "transformer-mini", "transformer-tiny")
    ),
    targets=Classes(),
)
