"""A language model's last layer, the largest of all, computes what is compared and nothing else."""

from types import SimpleNamespace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from studio import tasks
from studio.compress.sample import draw
from studio.distill import objective, teacher_outputs, top_answers
from studio.distill.learner import Learner
from studio.distill.spec import FitSpec
from studio.distill.transfer_set import View
from studio.events import Progress, result_of
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.models.opening import build
from studio.models.writing import write
from studio.pipeline import estimate
from studio.tasks.positions import PositionLogits

TASK = tasks.get("language-model")
ROWS = TASK.unlabelled([("What does the cat say to the dog every single day?", answer) for answer in ("Miau", "No")])
CPU = Device(torch.device("cpu"), torch.float32)
ALL = torch.arange(2)
PLACES = len("Miau") + len("No") + 2
"""The letters of the answers, and the signs that end them."""


@pytest.fixture(params=["llama", "gpt2"])
def model(request):
    built = build("gpt-tiny", Problem(TASK.name, [], ROWS, 128))
    if request.param == "llama":
        return built
    config = GPT2Config(vocab_size=len(built.processor), n_positions=128, n_embd=32, n_layer=2, n_head=2)
    return Model(GPT2LMHeadModel(config), built.processor)


@pytest.fixture
def inputs(model):
    return TASK.encode(ROWS, model.processor, model.network.config, 128)


@pytest.fixture
def heard(model):
    """How many positions the last layer was asked for, pass by pass."""
    counts = []
    model.network.lm_head.register_forward_hook(lambda _, given, __: counts.append(given[0].shape[:-1].numel()))
    return counts


def plain(model, inputs):
    with torch.inference_mode():
        return inputs.positions(model.network.eval()(**inputs.batch(ALL)).logits, ALL).logits


def test_recorded_answers_take_the_places_that_count_and_are_the_same(model, inputs, heard, tmp_path):
    wanted = plain(model, inputs)
    heard.clear()
    found = result_of(
        teacher_outputs.record(model, inputs, CPU, tmp_path / "a", lambda n: Progress(phase="record", step=n), "")
    )
    torch.testing.assert_close(found.values, wanted)
    result_of(top_answers.compute(model, inputs, CPU, tmp_path / "b", top_answers.How(1.0, 3), lambda n: None))
    assert heard == [PLACES, PLACES]


def test_a_step_computes_no_logits_of_a_prompt_and_has_the_same_loss(model, inputs, heard):
    wanted = torch.nn.functional.cross_entropy(plain(model, inputs), inputs.labels)
    spec = FitSpec(phase="distill", model=model, task=TASK, rows=ALL, view=lambda epoch: View(inputs),
                   validation=inputs, objective=objective.labels_only(TASK), steps=2, batch_size=2,
                   learning_rate=1e-3, weight_decay=0.0, seed=0)  # fmt: skip
    heard.clear()
    model.network.eval()
    terms, _ = result_of(Learner(spec, CPU).step(View(inputs), ALL, 0.0))
    assert heard == [PLACES]
    torch.testing.assert_close(terms.total, wanted)


def test_a_teacher_that_answers_live_computes_no_logits_of_a_prompt(model, inputs, heard):
    spec = SimpleNamespace(live=model)
    learner = SimpleNamespace(spec=spec, device=CPU)
    recorded = PositionLogits(torch.zeros(PLACES, 3), inputs.offsets)
    found = Learner._teacher(learner, View(inputs, recorded, inputs), ALL)
    assert heard == [PLACES]
    assert torch.equal(found.logits, recorded.values) and found.hidden[0].shape[1] == int(inputs.lengths.max())


def test_what_weights_are_worth_is_learned_without_logits_of_a_prompt(model, inputs, heard):
    wanted = torch.nn.functional.cross_entropy(plain(model, inputs), inputs.labels)
    sample = draw(TASK, inputs, ALL, None, seed=0)
    heard.clear()
    total = sum(loss.item() for loss in sample.losses(model.network.eval()))
    assert heard == [PLACES]
    assert total == pytest.approx(wanted.item(), rel=1e-5)


def test_what_a_run_will_take_is_measured_on_steps_that_compute_no_logits_of_a_prompt(model, inputs, heard):
    context = SimpleNamespace(device=CPU, config=SimpleNamespace(batch_size=2, optimizer="adamw"))
    estimate._seconds_a_step(model, inputs, context)
    assert set(heard) == {PLACES}


def test_one_who_writes_computes_the_last_place_alone(model, heard):
    write(model.network, torch.ones(1, 9, dtype=torch.long), 3, seed=0)
    assert heard == [1, 1, 1]


def test_rows_that_count_in_different_places_are_asked_at_their_own(model):
    rows = TASK.unlabelled([("Why?", "So."), ("Why does it rain today?", "It is so."), "A text."])
    inputs = TASK.encode(rows, model.processor, model.network.config, 128)
    some = torch.tensor([1, 0])
    mask = inputs.counted(some)
    logits = torch.randn(2, int(inputs.lengths[some].max()), 5)
    assert torch.equal(inputs.positions(logits[mask], some).logits, inputs.positions(logits, some).logits)
    assert mask.sum(1).tolist() == [len("It is so.") + 1, len("So.") + 1]
    assert inputs.counted(torch.tensor([2])).tolist() == [[True] * (len("A text.") + 1) + [False]]
