"""The same product in Python: data in, a distilled student out. docs/api.md shows it by examples.

    from studio import api

    data = api.load_dataset("reviews.csv")
    run = api.distill(data, teacher="hub:distilbert/distilbert-base-uncased", student="teacher/2-layers")
    run.verdict
    run.student.predict(["a fine film", "a waste of time"])

Runs are kept where the pages and the command line keep theirs: in the folder `STUDIO_HOME`, or in `home`. Everything
that is wrong is raised as a `StudioError`, which says what is wrong and what to do about it.
"""

from studio.api.data import Dataset, answer_prompts, datasets, load_dataset
from studio.api.searches import Search, search
from studio.api.training import Model, Run, compare, distill, run, runs
from studio.errors import StudioError

__all__ = ["Dataset", "Model", "Run", "Search", "StudioError", "answer_prompts", "compare", "datasets", "distill",
           "load_dataset", "run", "runs", "search"]  # fmt: skip
