"""Recorded answers, fits and the models that they teach, on models that train in seconds."""

import copy
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from datasets import Dataset

from studio import events, tasks
from studio.config.reading import parse_config
from studio.data import folder
from studio.distill import checkpoints, objective, teacher_outputs, transfer_set
from studio.distill.fit import batches, fit
from studio.distill.spec import BestWeights, FitSpec, clearly_worse
from studio.errors import DeviceError, DivergedError, ModelError
from studio.events import result_of
from studio.machine import devices as device
from studio.models.layers import cut_layers
from studio.models.model import Model, Problem
from studio.models.opening import build, load, open_folder
from studio.models.saving import save
from studio.pipeline.prepare import distillation
from studio.tasks import encoded_text
from studio.tasks.positions import PositionLogits
from tests.conftest import TINY

CPU = device.Device(torch.device("cpu"), torch.float32)


@pytest.fixture
def problem(home, saved) -> Problem:
    rows = folder.load(home.dataset(saved.id)).dict["train"]
    return Problem("text-classification", ["bad", "good"], rows, 16)


@pytest.fixture
def model(problem) -> Model:
    torch.manual_seed(0)
    return build("transformer-small", problem)


@pytest.fixture
def inputs(problem, model):
    return problem.task.encode(problem.rows, model.processor, model.network.config, 16)


TASK = tasks.get("text-classification")
LABELS_ONLY = objective.labels_only(TASK)


def spec(model, inputs, **changes):
    """A short fit on the labels alone."""
    view = transfer_set.View(inputs)
    values = {
        "phase": "distill",
        "model": model,
        "rows": torch.arange(len(inputs)),
        "task": TASK,
        "view": lambda epoch: view,
        "validation": inputs,
        "objective": LABELS_ONLY,
        "steps": 12,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "seed": 3,
    }
    return FitSpec(**(values | changes))


def test_recorded_outputs_are_in_the_order_of_the_rows_whatever_order_they_were_batched_in(model, inputs, monkeypatch):
    monkeypatch.setattr(teacher_outputs, "BATCH", 7)
    recorded = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None))
    model.network.eval()
    row_by_row = [model.network(**inputs.batch(torch.tensor([row]))).logits[0] for row in range(len(inputs))]
    assert torch.allclose(recorded.values, torch.stack(row_by_row), atol=1e-5)


def test_the_teacher_answers_in_evaluation_mode_and_is_left_as_it_was(model, inputs):
    model.network.train()
    first = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None))
    second = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None))
    assert torch.equal(first.values, second.values)
    assert model.network.training


def test_recorded_outputs_are_computed_once_and_read_from_disk_after_that(model, inputs, tmp_path):
    folder = tmp_path / "outputs"

    def tell(done):
        return None

    first = result_of(teacher_outputs.record(model, inputs, CPU, folder, tell, "found")).values.clone()
    with torch.no_grad():
        model.network.classifier.bias += 100
    assert torch.equal(result_of(teacher_outputs.record(model, inputs, CPU, folder, tell, "found")).values, first)


def test_the_fingerprint_changes_with_weights_rows_their_order_and_the_length_cut(model, problem, inputs):
    first = teacher_outputs.fingerprint(model, inputs)
    encode = problem.task.encode
    reversed_rows = problem.rows.select(range(len(problem.rows) - 1, -1, -1))
    assert first == teacher_outputs.fingerprint(model, encode(problem.rows, model.processor, model.network.config, 16))
    assert first != teacher_outputs.fingerprint(model, encode(reversed_rows, model.processor, model.network.config, 16))
    assert first != teacher_outputs.fingerprint(model, encode(problem.rows, model.processor, model.network.config, 5))
    with torch.no_grad():
        model.network.classifier.bias += 1e-3
    assert first != teacher_outputs.fingerprint(model, inputs)


def test_every_row_is_seen_once_an_epoch_and_every_epoch_has_a_new_order(model, inputs):
    plan = spec(model, inputs, steps=2 * -(-len(inputs) // 16))
    shown = [rows for _, rows in batches(plan, CPU)]
    half = len(shown) // 2
    first, second = torch.cat(shown[:half]), torch.cat(shown[half:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(len(inputs)))
    assert first.tolist() != second.tolist()


def test_no_rows_are_an_error_and_no_endless_epoch(model, inputs):
    with pytest.raises(ValueError, match="no rows to learn"):
        next(batches(replace(spec(model, inputs, steps=3), rows=torch.arange(0)), CPU))


def test_a_batch_is_padded_to_its_longest_text_alone(problem, model):
    rows = Dataset.from_dict({"text": ["good", "a good warm and lovely thing"], "label": [1, 1]})
    encoded = problem.task.encode(rows, model.processor, model.network.config, 16)
    both, short = encoded.batch(torch.tensor([0, 1])), encoded.batch(torch.tensor([0]))
    assert both["input_ids"].shape[1] > short["input_ids"].shape[1]
    assert both["attention_mask"][0].sum() == short["attention_mask"].sum()


def test_after_a_fit_the_model_holds_its_best_weights_and_is_in_evaluation_mode(model, inputs):
    best = BestWeights()
    points = [event for event in fit(spec(model, inputs, steps=30), CPU, best) if isinstance(event, events.Metrics)]
    reached = [point.values["accuracy"] for point in points if "accuracy" in point.values]
    logits = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None))
    kept = float((logits.values.argmax(-1) == inputs.labels).float().mean())
    assert kept >= max(reached) - math.sqrt(len(inputs)) / len(inputs)
    assert kept > min(reached)
    assert not model.network.training


def offered(*rights: list[int]) -> int:
    """Which of these looks at the validation data is kept."""
    best, network = BestWeights(), torch.nn.Linear(1, 1)
    for number, right in enumerate(rights):
        torch.nn.init.constant_(network.weight, number)
        scores = torch.tensor(right, dtype=torch.bool)
        best.offer(float(scores.float().mean()), scores, network)
    best.restore(network)
    return int(network.weight)


def test_of_states_that_differ_by_no_more_than_chance_the_latest_is_kept():
    assert offered([1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]) == 2
    assert offered([1, 1, 1, 1], [1, 1, 1, 0]) == 1


def test_a_state_that_is_clearly_worse_than_the_best_is_not_kept_however_slowly_it_came():
    best = [1] * 20
    worse = [[1] * (20 - lost) + [0] * lost for lost in range(1, 8)]
    assert offered(best, *worse) == 1
    assert offered([0] * 20, best, worse[-1]) == 1


def test_scores_that_are_numbers_are_compared_by_their_paired_differences():
    """lost − gained > √(gained + lost) becomes Σd < −√Σd²: for right and wrong they are the same rule."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        now, best = torch.rand(2, 30, generator=generator) < torch.rand(2, 1, generator=generator)
        gained, lost = int((now & ~best).sum()), int((~now & best).sum())
        assert clearly_worse(now, best) == (lost - gained > math.sqrt(gained + lost))
    best = torch.linspace(-1, 0, 20)
    assert clearly_worse(best - 0.1, best)
    assert not clearly_worse(best + 0.1, best)
    assert not clearly_worse(best - 0.1 * torch.tensor([1.0, -1.0]).repeat(10), best)


def test_the_best_value_may_be_below_zero():
    best, network = BestWeights(), torch.nn.Linear(1, 1)
    best.offer(-0.4, torch.tensor([-2.0, -3.0]), network)
    best.offer(-0.9, torch.tensor([-9.0, -9.5]), network)
    assert best.value == -0.4


def test_during_a_fit_the_student_is_in_training_mode_also_after_a_look_at_the_validation_data(model, inputs):
    modes = []

    def watching(student, teacher, labels, progress):
        modes.append(model.network.training)
        return LABELS_ONLY(student, teacher, labels, progress)

    list(fit(spec(model, inputs, objective=watching), CPU, BestWeights()))
    assert all(modes)
    assert len(modes) == 12


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(model, inputs):
    def broken(student, teacher, labels, progress):
        return objective.Terms(student.logits.sum() * float("nan"), {})

    said = []
    with pytest.raises(DivergedError, match="At step 2 of distill the loss is nan"):  # once it tries again more slowly
        for event in fit(spec(model, inputs, objective=broken), CPU, BestWeights()):
            said.append(event)
    warnings = [event.message for event in said if isinstance(event, events.Log)]
    assert len(warnings) == 1
    assert "goes on from the last good weights at a rate of 0.0001" in warnings[0]


def test_a_fit_that_diverges_once_goes_on_more_slowly_from_the_last_good_weights(model, inputs):
    calls = []

    def once(student, teacher, labels, progress):
        calls.append(progress)
        terms = LABELS_ONLY(student, teacher, labels, progress)
        return objective.Terms(terms.total * float("nan"), {}) if len(calls) == 20 else terms

    said = list(fit(spec(model, inputs, objective=once, steps=40), CPU, BestWeights()))
    steps = [event.step for event in said if isinstance(event, events.Metrics) and "loss" in event.values]
    rates = [event.values["learning_rate"] for event in said
             if isinstance(event, events.Metrics) and "loss" in event.values]  # fmt: skip
    assert steps == [step for step in range(1, 41) if step != 20]
    assert max(rates[19:]) < 0.11 * max(rates[:19])
    assert all(tensor.isfinite().all() for tensor in model.network.state_dict().values())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried 9"),
    ],
    ids=["GPU", "CPU"],
)
def test_where_memory_runs_out_the_batch_is_cut_and_the_corrections_stay_the_same(model, inputs, error):
    for layer in model.network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0  # chance would fall otherwise on other examples
    plain = copy.deepcopy(model.network)
    list(fit(spec(Model(plain, None), inputs, steps=6), CPU, BestWeights()))

    def small_memory(student, teacher, labels, progress):
        if len(labels) > 5:
            raise error
        return LABELS_ONLY(student, teacher, labels, progress)

    said = list(fit(spec(model, inputs, objective=small_memory, steps=6), CPU, BestWeights()))
    warnings = [event.message for event in said if isinstance(event, events.Log)]
    assert [message.split(";")[0] for message in warnings] == [
        "Memory ran out: 8 examples at a time from now on",
        "Memory ran out: 4 examples at a time from now on",
    ]
    batch = inputs.batch(torch.arange(len(inputs)))
    with torch.no_grad():
        assert torch.allclose(model.network(**batch).logits, plain.eval()(**batch).logits, atol=1e-4)


def test_rows_that_do_not_fit_into_memory_at_once_are_answered_in_parts(model, inputs, monkeypatch):
    whole = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None)).values
    answered, asked = teacher_outputs._answered, []

    def small_memory(network, encoded, rows, *rest):
        asked.append(len(rows))
        if len(rows) > 20:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return answered(network, encoded, rows, *rest)

    monkeypatch.setattr(teacher_outputs, "_answered", small_memory)
    parts = result_of(teacher_outputs.logits(model, inputs, CPU, lambda done: None)).values
    assert max(asked) > 20
    assert torch.allclose(parts, whole, atol=1e-5)
    asked.clear()
    result_of(teacher_outputs.logits(model, inputs, replace(CPU, parts=16), lambda done: None))
    assert max(asked) == teacher_outputs.BATCH // 16


def test_a_fit_begins_with_as_many_parts_as_memory_is_known_to_ask_for_and_learns_the_same(model, inputs):
    for layer in model.network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0  # chance would fall otherwise on other examples
    start = copy.deepcopy(model.network.state_dict())
    list(fit(spec(model, inputs, steps=6), CPU, BestWeights()))
    whole = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model.network.load_state_dict(start)
    most = 0

    def watched(student, teacher, labels, progress):
        nonlocal most
        most = max(most, len(labels))
        return LABELS_ONLY(student, teacher, labels, progress)

    list(fit(spec(model, inputs, objective=watched, steps=6), replace(CPU, parts=4), BestWeights()))
    assert most == 4
    assert all(torch.allclose(model.network.state_dict()[name], one, atol=1e-4) for name, one in whole.items())


def test_a_single_example_that_does_not_fit_ends_the_run(model, inputs):
    def no_memory(student, teacher, labels, progress):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        list(fit(spec(model, inputs, objective=no_memory), CPU, BestWeights()))


def test_answers_that_are_no_numbers_are_found_at_the_next_look_at_the_validation_data(model, inputs):
    def spoil(student, teacher, labels, progress):
        with torch.no_grad():
            model.network.classifier.bias.fill_(float("nan"))
        return objective.Terms(student.logits.sum() * 0, {})

    with pytest.raises(DivergedError, match="not a number"):
        list(fit(spec(model, inputs, objective=spoil), CPU, BestWeights()))


def test_the_same_seed_gives_the_same_weights(problem, inputs):
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        built = build("transformer-tiny", problem)
        list(fit(spec(built, inputs), CPU, BestWeights()))
        results.append(built.network.classifier.weight.detach().clone())
    assert torch.equal(*results)


def test_a_tokenizer_learned_from_the_same_texts_is_the_same_in_every_process(home, saved):
    script = (
        "import sys; from pathlib import Path; from studio.data import folder\n"
        "from studio.tasks import encoded_text as task\n"
        "rows = folder.load(Path(sys.argv[1])).dict['train']\n"
        "print(task.builtin('fasttext-tiny', rows, {'num_labels': 2}, 16)[1].backend_tokenizer.to_str())"
    )
    words = [sys.executable, "-c", script, str(home.dataset(saved.id))]
    elsewhere = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = folder.load(home.dataset(saved.id)).dict["train"]
    here = encoded_text.builtin("fasttext-tiny", rows, {"num_labels": 2}, 16)[1]
    vocabularies = [json.loads(text)["model"]["vocab"] for text in (elsewhere, here.backend_tokenizer.to_str())]
    assert vocabularies[0] == vocabularies[1]


def test_a_student_cut_from_its_teacher_has_the_teachers_layers(model):
    student = cut_layers(model, 1)
    kept, last = student.network.bert.encoder.layer[0], model.network.bert.encoder.layer[-1]
    assert student.network.config.num_hidden_layers == 1
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), last.parameters(), strict=True))
    assert torch.equal(student.network.classifier.weight, model.network.classifier.weight)


@pytest.mark.parametrize("keep", [2, 5])
def test_a_student_cannot_keep_as_many_layers_as_the_teacher_has(model, keep):
    with pytest.raises(ModelError, match="can keep 1 to 1"):
        cut_layers(model, keep)


def test_a_model_with_pickled_weights_only_is_refused(tmp_path, problem):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="can run code"):
        open_folder(tmp_path, problem)


def test_a_folder_that_is_not_there_is_named(problem, home):
    with pytest.raises(ModelError, match=r"no folder /nowhere"):
        result_of(load("folder:/nowhere", problem, home))


def test_without_a_network_a_hub_model_is_refused_in_words(problem, home, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"could not be downloaded.*local folder"):
        result_of(load("hub:someone/some-model", problem, home))


def test_a_head_with_the_same_labels_in_another_order_is_put_in_order(model, problem, tmp_path, inputs):
    save(model, tmp_path / "teacher")
    config = json.loads((tmp_path / "teacher" / "config.json").read_text())
    config["id2label"], config["label2id"] = {"0": "good", "1": "bad"}, {"good": 0, "bad": 1}
    (tmp_path / "teacher" / "config.json").write_text(json.dumps(config))
    opened = open_folder(tmp_path / "teacher", problem)
    batch = inputs.batch(torch.arange(4))
    assert opened.knows_labels
    assert torch.allclose(opened.network.eval()(**batch).logits, model.network.eval()(**batch).logits.flip(-1))


def test_a_pretrained_model_without_a_head_is_taught_first(real_data, problem):
    opened = open_folder(real_data / "models" / "minilm-l6", problem)
    assert opened.pretrained
    assert not opened.knows_labels


def test_a_device_that_the_machine_lacks_is_refused_with_those_it_has():
    config = parse_config({"dataset": "d", **TINY, "device": "cuda:7"})
    with pytest.raises(DeviceError, match=r"got cuda:7.*cpu"):
        device.pick(config)


def in_the_first_layout(state: dict) -> dict:
    """A checkpoint as commit 8aefc57 wrote it."""
    best = {"accuracy": state["best"]["value"], "weights": state["best"]["weights"], "right": state["best"]["scores"]}
    old = {"step": state["step"], "is_open": state["validation_due"], "is_done": state["is_done"]}
    old |= {"told": state["history"], "slowed_at": state["slowed_at"], "best": best}
    if state["is_done"]:
        return old
    return old | state["learner"] | {"curve": state["meter"], "random": state["random"]}


@pytest.mark.parametrize("diverges", [False, True])
@pytest.mark.parametrize("stopped_at", [1, 9, 14, 24])
def test_a_checkpoint_of_the_first_layout_is_gone_on_with_to_the_same_end(
    model, inputs, tmp_path, diverges, stopped_at
):
    """Also where training went on more slowly before it was stopped."""

    def loss(student, teacher, labels, progress):
        terms = LABELS_ONLY(student, teacher, labels, progress)
        broken = diverges and progress == 7 / 24 and not calls
        calls.extend([progress] if broken else [])
        return objective.Terms(terms.total * float("nan"), {}) if broken else terms

    calls: list[float] = []
    start = copy.deepcopy(model.network.state_dict())
    whole = list(fit(spec(model, inputs, steps=24, objective=loss), CPU, BestWeights()))
    ended = copy.deepcopy(model.network.state_dict())

    calls.clear()
    model.network.load_state_dict(start)
    kept = spec(model, inputs, steps=24, objective=loss, checkpoint=tmp_path / "distill.pt")
    steps = fit(kept, CPU, BestWeights())
    for event in steps:
        if isinstance(event, events.Metrics) and event.step == stopped_at:
            break
    steps.close()
    state = torch.load(kept.checkpoint, weights_only=True)
    checkpoints.write(kept.checkpoint, in_the_first_layout(state))
    model.network.load_state_dict(start)
    again = list(fit(kept, CPU, BestWeights()))
    points = [[event for event in said if isinstance(event, events.Metrics)] for said in (whole, again)]
    assert points[0] == points[1]
    assert all(torch.equal(ended[name], tensor) for name, tensor in model.network.state_dict().items())


def test_a_part_that_has_become_shorter_since_it_was_saved_begins_anew(model, inputs, tmp_path):
    start = copy.deepcopy(model.network.state_dict())
    kept = spec(model, inputs, steps=6, checkpoint=tmp_path / "control.pt")
    list(fit(kept, CPU, BestWeights()))
    model.network.load_state_dict(start)
    said = list(fit(replace(kept, steps=4), CPU, BestWeights()))
    assert any(
        "6 steps were saved, where there are 4 now" in one.message for one in said if isinstance(one, events.Log)
    )
    ended = copy.deepcopy(model.network.state_dict())
    model.network.load_state_dict(start)
    list(fit(spec(model, inputs, steps=4), CPU, BestWeights()))
    assert all(torch.equal(ended[name], tensor) for name, tensor in model.network.state_dict().items())


def test_a_teacher_that_answers_live_is_in_evaluation_mode_and_learns_nothing(problem, model, inputs):
    torch.manual_seed(7)
    live = build("transformer-small", problem)
    live.network.train()
    before = {name: tensor.clone() for name, tensor in live.network.state_dict().items()}
    recorded = result_of(teacher_outputs.logits(live, inputs, CPU, lambda done: None))
    shown = transfer_set.View(inputs, recorded, inputs)
    config = parse_config({"dataset": "d", **TINY, "terms": "soft_target, hint, value_relation"})

    rows = transfer_set.TransferSet(problem.task, (problem.rows,), 16, 0)
    term, modes = distillation(config, model, live, rows), []

    def watching(student, answers, labels, progress):
        modes.append((live.network.training, answers.hidden[-1].requires_grad, len(answers.hidden)))
        return term(student, answers, labels, progress)

    list(fit(spec(model, inputs, view=lambda epoch: shown, objective=watching, live=live), CPU, BestWeights()))
    assert set(modes) == {(False, False, 2)}
    assert all(torch.equal(before[name], tensor) for name, tensor in live.network.state_dict().items())


def test_projectors_are_trained_together_with_the_student(problem):
    torch.manual_seed(7)
    narrow, wide = build("transformer-tiny", problem), build("transformer-small", problem)
    rows = transfer_set.TransferSet(problem.task, (problem.rows,), 16, 0)
    config = parse_config({"dataset": "d", **TINY, "terms": "hint"})

    term = distillation(config, narrow, wide, rows)
    before = [weight.clone() for weight in term.parameters()]
    encoded = rows.whole(narrow)
    shown = transfer_set.View(encoded, PositionLogits.per_row(torch.zeros(len(encoded), 2)), rows.whole(wide))
    plan = spec(narrow, encoded, view=lambda epoch: shown, objective=term, live=wide)
    list(fit(plan, CPU, BestWeights()))
    assert before
    assert all(not torch.equal(old, new) for old, new in zip(before, term.parameters(), strict=True))
