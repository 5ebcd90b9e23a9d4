"""What a model is taught, row by row and step by step, on a network small enough to say what must come out."""

import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from studio import events, tasks
from studio.config.reading import parse_config
from studio.config.run import UNLABELLED
from studio.distill import fit as fitting
from studio.distill import objective
from studio.distill import transfer_set as transfer
from studio.distill.chance import ChanceMeter
from studio.distill.fit import LossMeter, batches, fit
from studio.distill.learner import CLIP_NORM, WARM_UP_SHARE, Learner
from studio.distill.objective import Distillation, Terms
from studio.distill.spec import BestWeights
from studio.distill.transfer_set import View
from studio.models.features import Outputs
from studio.models.model import Model
from studio.tasks.positions import OnePositionPerRow, PositionLogits
from tests.conftest import TINY
from tests.distill.test_training import CPU, spec

TASK = tasks.get("text-classification")
CLASSES = 3


@dataclass(frozen=True)
class Points(OnePositionPerRow):
    """Rows of four numbers; each is as long as `lengths` says."""

    values: Tensor
    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        return {"values": self.values[rows]}

    def to(self, device: torch.device) -> "Points":
        return self


class Linear(nn.Module):
    """A linear answer, whose only hidden layer is what it reads, times `scale`."""

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.head, self.scale = nn.Linear(4, CLASSES), scale
        self.config = SimpleNamespace(num_labels=CLASSES)

    def forward(self, values: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        hidden = values * self.scale
        return SimpleNamespace(logits=self.head(hidden), hidden_states=(values, hidden))


def points(count: int = 20) -> Points:
    """Their labels are what `Linear()` chooses; no two rows are alike."""
    values = torch.randn(count, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = Linear()(values).logits.argmax(-1)
    return Points(values, labels, torch.arange(count))


def learning(inputs: Points | None = None, network: nn.Module | None = None, **changes):
    """A fit of a linear network."""
    inputs = points() if inputs is None else inputs
    values = {"task": TASK, "batch_size": 5, "objective": objective.labels_only(TASK)} | changes
    return spec(Model(Linear() if network is None else network, None), inputs, **values)


def worse(student: Outputs, teacher: Outputs | None, labels: Tensor, progress: float) -> Terms:
    """Whoever minimizes this unlearns its labels."""
    return Terms(-functional.cross_entropy(student.logits, labels), {})


def run(fit_spec, best: BestWeights | None = None) -> list[events.Event]:
    return list(fit(fit_spec, CPU, best or BestWeights()))


# --- who is taught what


def test_a_fit_on_labels_alone_minimizes_their_cross_entropy():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, UNLABELLED])
    found = objective.labels_only(TASK)(Outputs(logits), None, labels, 0.5)
    assert found.total.item() == pytest.approx(functional.cross_entropy(logits[:5], labels[:5]).item())
    assert set(found.parts) == {"label_loss"}


def test_each_row_is_taught_its_own_label_and_what_its_teachers_said_of_it():
    inputs, heard = points(), []
    recorded = torch.randn(20, CLASSES)

    def listen(student, teacher, labels, progress):
        heard.append((student.logits.detach(), teacher, labels))
        return Terms(student.logits.sum() * 0, {})

    view = View(inputs, PositionLogits.per_row(recorded), Points(inputs.values + 1, inputs.labels, inputs.lengths))
    live = Model(Linear(5, scale=2.0).train(), None)
    learner = Learner(learning(inputs, objective=listen, live=live, view=lambda epoch: view), CPU)
    rows = torch.tensor([7, 3, 19])
    before = learner.network(inputs.values[rows]).logits.detach()
    list(learner.step(view, rows, 0.0))
    (student, teacher, labels) = heard[0]
    assert torch.allclose(student, before)
    assert torch.equal(labels, inputs.labels[rows])
    assert torch.equal(teacher.logits, recorded[rows])
    assert torch.equal(teacher.hidden[-1], 2 * (inputs.values[rows] + 1))
    assert not live.network.training, "it answers without dropout"


def test_labelled_rows_are_those_whose_label_is_known():
    one_class = Points(torch.zeros(4, 4), torch.tensor([1, UNLABELLED, 0, UNLABELLED]), torch.arange(4))
    assert transfer.labelled(one_class, TASK).tolist() == [0, 2]
    table = Points(torch.zeros(3, 4), torch.tensor([[1, 0], [UNLABELLED, UNLABELLED], [0, 0]]), torch.arange(3))
    assert transfer.labelled(table, tasks.get("text-classification", multi_label=True)).tolist() == [0, 2]


def test_two_models_read_alike_only_where_everything_that_they_read_is_alike():
    tokens, lengths, labels = torch.arange(4), torch.tensor([2, 2]), torch.tensor([0, 1])
    first = SimpleNamespace(tokens=tokens, lengths=lengths, labels=labels)
    assert transfer.same_reading(first, SimpleNamespace(tokens=tokens.clone(), lengths=lengths, labels=1 - labels))
    assert not transfer.same_reading(first, SimpleNamespace(tokens=tokens + 1, lengths=lengths, labels=labels))


# --- a correction


def test_gradients_longer_than_the_limit_are_cut_to_it():
    learner = Learner(learning(objective=lambda *rest: Terms(1e4 * worse(*rest).total, {})), CPU)
    lengths = []

    def measure(*_):
        lengths.append(torch.cat([weight.grad.flatten() for weight in learner.network.parameters()]).norm().item())

    learner.optimizer.register_step_pre_hook(measure)
    list(learner.step(learner.spec.view(0), torch.arange(5), 0.0))
    assert lengths == pytest.approx([CLIP_NORM], rel=1e-3)


def test_matrices_decay_and_biases_do_not():
    network = Linear()
    before = copy.deepcopy(network.state_dict())

    def nothing(student, teacher, labels, progress):
        return Terms(student.logits.sum() * 0, {})

    learner = Learner(learning(network=network, objective=nothing, learning_rate=0.1, weight_decay=0.5, steps=1), CPU)
    list(learner.step(learner.spec.view(0), torch.arange(5), 0.0))
    assert torch.allclose(network.head.weight, before["head.weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(network.head.bias, before["head.bias"])


def test_the_rate_rises_over_the_first_steps_and_then_falls_to_nothing():
    said = run(learning(steps=100, learning_rate=0.01))
    rates = [event.values["learning_rate"] for event in said
             if isinstance(event, events.Metrics) and "learning_rate" in event.values]  # fmt: skip
    warm_up = round(100 * WARM_UP_SHARE)
    expected = [0.01 * min((step + 1) / warm_up, (100 - step) / (100 - warm_up)) for step in range(100)]
    assert rates == pytest.approx(expected)
    assert max(rates) == rates[warm_up - 1]


def test_slowed_down_the_rate_goes_on_falling_from_where_it_was_at_a_tenth():
    learner = Learner(learning(steps=100, learning_rate=0.01), CPU)
    learner.slow_down(50)
    assert learner.schedule.get_last_lr()[0] == pytest.approx(0.001 * 50 / 94)


def test_a_batch_in_parts_has_the_gradient_and_the_losses_of_the_whole():
    found = []
    for parts in (1, 2, 3):
        learner = Learner(learning(), CPU)
        learner.parts = parts
        terms = learner._in_parts(learner.spec.view(0), torch.arange(5), 0.0)
        found.append((terms.total, terms.parts["label_loss"], learner.network.head.weight.grad))
    for other in found[1:]:
        assert all(torch.allclose(mine, whole, atol=1e-6) for mine, whole in zip(other, found[0], strict=True))


# --- the order of rows, and what is told


def test_every_epoch_puts_other_rows_together_and_short_rows_do_not_always_come_first():
    inputs = Points(points(64).values, points(64).labels, torch.zeros(64))
    shown = [tuple(sorted(rows.tolist())) for _, rows in batches(learning(inputs, steps=26), CPU)]
    assert set(shown[:13]) != set(shown[13:])
    by_length = [rows[0].item() for _, rows in batches(learning(points(64), steps=26), CPU)]
    assert by_length[:13] != sorted(by_length[:13])


def test_epochs_see_the_views_in_turn():
    asked, view = [], View(points())
    run(learning(steps=12, view=lambda epoch: asked.append(epoch) or view))
    assert asked == [0, 1, 2]


def test_schedules_hear_how_much_of_the_training_is_done():
    heard = []

    def listen(student, teacher, labels, progress):
        heard.append(progress)
        return Terms(student.logits.sum() * 0, {})

    run(learning(steps=8, objective=listen))
    assert heard == [step / 8 for step in range(8)]


def test_the_curve_shows_the_mean_of_the_steps_since_its_last_point():
    meter = LossMeter(4, torch.device("cpu"))
    for value in (2.0, 4.0):
        meter.add(Terms(torch.tensor(value), {"label_loss": torch.tensor(3 * value)}))
    assert meter.read() == {"loss": 3.0, "label_loss": 9.0}
    meter.add(Terms(torch.tensor(8.0), {}))
    assert meter.read() == {"loss": 8.0}


# --- what is kept


def test_the_model_ends_with_its_best_weights_and_not_with_its_last():
    network = Linear()
    best = copy.deepcopy(network.state_dict())
    run(learning(network=network, objective=worse, steps=40, learning_rate=0.5))
    assert all(torch.equal(best[name], weight) for name, weight in network.state_dict().items())


def test_a_fit_that_goes_on_remembers_its_best_weights(tmp_path):
    network = Linear()
    best = copy.deepcopy(network.state_dict())
    changes = {"objective": worse, "steps": 40, "learning_rate": 0.5, "checkpoint": tmp_path / "distill.pt"}
    cut_off_after(20, learning(network=network, **changes))
    again = Linear(seed=9)
    run(learning(network=again, **changes))
    assert all(torch.equal(best[name], weight) for name, weight in again.state_dict().items())


def test_a_point_of_the_curve_that_a_stop_divides_is_the_mean_of_both_halves(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CURVE_POINTS", 5)  # a point every eight steps
    whole = [event for event in run(learning(steps=40)) if isinstance(event, events.Metrics)]
    kept = {"steps": 40, "checkpoint": tmp_path / "distill.pt"}
    cut_off_after(12, learning(**kept))
    assert [event for event in run(learning(**kept)) if isinstance(event, events.Metrics)] == whole


def cut_off_after(steps: int, fit_spec) -> None:
    """Close a fit as soon as so many steps are done; it tells of each fourth one by a look at the validation data."""
    said = fit(fit_spec, CPU, BestWeights())
    for event in said:
        if isinstance(event, events.Metrics) and event.step == steps:
            break
    said.close()


# --- chance


class Fragile(Linear):
    """Learns slowly, and answers nothing any more once a correction has changed a weight by more than a half."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, scale=0.01)
        self.register_buffer("before", self.head.weight.detach().clone())
        self.register_buffer("alive", torch.ones(()))

    def forward(self, values: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        weight = self.head.weight.detach()
        self.alive *= ((weight - self.before).abs().max() <= 0.5).float()
        self.before.copy_(weight)
        said = super().forward(values, output_hidden_states)
        return SimpleNamespace(logits=said.logits * self.alive, hidden_states=said.hidden_states)


FRAGILE = {"steps": 1000, "learning_rate": 1.0, "rate_is_chosen": True}


def warnings(said: list[events.Event]) -> list[str]:
    return [event.message for event in said if isinstance(event, events.Log)]


def test_a_model_that_stays_at_chance_begins_again_at_a_lower_rate_once_and_says_so():
    best, network = BestWeights(), Fragile(seed=5)
    said = run(learning(network=network, **FRAGILE), best)
    (told,) = warnings(said)
    assert told.startswith("After 200 steps of distill the loss with the labels is 1.10")
    assert told.endswith("begins again from its first weights at a rate of 0.2.")
    assert best.value > 0.7
    rates = {event.step: event.values["learning_rate"] for event in said
             if isinstance(event, events.Metrics) and "learning_rate" in event.values}  # fmt: skip
    assert rates[202] == pytest.approx(0.2 * 799 / 940)
    assert max(rates) == 1000
    assert network.alive


def test_at_a_rate_that_was_set_a_model_that_stays_at_chance_goes_on_and_says_so():
    best, network = BestWeights(), Fragile(seed=5)
    (told,) = warnings(run(learning(network=network, **FRAGILE | {"rate_is_chosen": False}), best))
    assert told.endswith("It goes on; a lower learning rate may help.")
    assert not network.alive


@pytest.mark.parametrize(
    ("values", "is_judged"),
    [
        ({"alpha": 1.0, "terms": ["hint"]}, False),
        ({"alpha": 0.9, "terms": ["hint"]}, True),
        ({"alpha": 1.0, "terms": ["hint", "soft_target"]}, True),
    ],
)
def test_a_model_whose_answers_nothing_corrects_is_not_found_at_chance(monkeypatch, values, is_judged):
    monkeypatch.setattr(Distillation, "_fit", lambda self, *example: None)
    config = parse_config({"dataset": "d", **TINY, **values})
    mixed = Distillation(config, tasks.get("text-classification"), example=(None, None))
    spec = replace(learning(network=Fragile(seed=5), **FRAGILE), objective=mixed)
    assert (ChanceMeter(spec).due is not None) == is_judged


def test_a_model_that_leaves_chance_is_left_alone():
    assert not warnings(run(learning(network=Linear(seed=5), **FRAGILE | {"learning_rate": 0.05})))


@pytest.mark.parametrize("steps", [180, 200, 420])
def test_a_fit_that_began_again_goes_on_after_a_stop_as_if_nothing_had_happened(steps, tmp_path):
    whole, part = Fragile(seed=5), Fragile(seed=5)
    run(learning(network=whole, **FRAGILE))
    changes = FRAGILE | {"checkpoint": tmp_path / "distill.pt"}
    cut_off_after(steps, learning(network=part, **changes))
    again = Fragile(seed=5)
    run(learning(network=again, **changes))
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in whole.state_dict().items())
