"""How large the built-in models are for a data set."""

from studio.models import opening
from studio.models.model import Problem, parameters
from studio.pipeline import sizes


def test_every_built_in_model_is_counted_as_a_run_would_build_it(job, saved, home):
    from studio.data.folder import load

    found = sizes.measure(job).parameters
    dataset = load(home.dataset(saved.id))
    problem = Problem(dataset.task, dataset.labels, dataset.dict["train"], job.config.max_length)
    assert list(found) == list(problem.task.builtins)
    assert found["fasttext-tiny"] == parameters(opening.build("fasttext-tiny", problem).network)
    assert found["transformer-base"] > found["transformer-small"] > found["transformer-tiny"]
