"""Answers that are kept as drawn tokens: right on the average, the same whatever the batches, and told from others."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.distill import losses, sampled_answers, teacher_outputs, top_answers, transfer_set
from studio.distill.top_answers import How
from studio.errors import ConfigError, ModelError
from studio.events import result_of
from studio.machine.devices import Device
from studio.models.model import Problem
from studio.models.opening import build
from studio.pipeline import recorded
from tests.distill.test_own_texts import CPU, TASK, own

generator = torch.Generator().manual_seed(1)
STUDENT, TEACHER = (scale * torch.randn(40, 30, generator=generator) for scale in (1, 2))
TEXTS = [f"Once upon a time there were {number} cats, and that is all that is known of them." for number in range(20)]
SETTINGS = {"dataset": "d", "teacher": "builtin/gpt-base", "student": "builtin/gpt-tiny", "terms": "soft_target",
            "temperature": 1, "kept_as": "samples"}  # fmt: skip


def kept(logits, *how):
    parts = top_answers.keep(logits, *how)
    return top_answers.of_parts([parts], torch.tensor([0, len(logits)])).of(torch.zeros(1, dtype=torch.long))


def gradient(loss):
    logits = STUDENT.clone().requires_grad_()
    loss(logits).backward()
    return logits.grad


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_mean_gradient_of_many_samples_is_that_of_the_whole_kl_and_that_of_the_likeliest_alone_is_not(temperature):
    whole = gradient(lambda logits: losses.token_soft_target_loss(logits, TEACHER, temperature))

    def of(seed):
        answer = kept(TEACHER, temperature, 8, seed)
        return gradient(lambda logits: losses.top_k_soft_target_loss(logits, *answer, temperature))

    found = torch.stack([of(seed) for seed in range(400)])
    error = found.std(0) / math.sqrt(len(found))
    off = (found.mean(0) - whole) / error.clamp(min=1e-9)
    often = error > error.median()  # where enough was drawn for the mean to be normal
    assert off[often].abs().max() < 5
    assert 0.8 < off[often].square().mean() < 1.2
    few = kept(TEACHER, temperature, 8)
    top = gradient(
        lambda logits: losses.top_k_renormalized_top_k_loss(logits, few.values, few.tokens, few.ends, temperature)
    )
    assert ((top - whole) / error)[often].square().mean() > 20


def test_the_shares_of_a_sample_add_up_to_1_and_nothing_is_left_out():
    answer = kept(TEACHER, 1.0, 8, 3)
    assert torch.allclose(answer.values.exp().view(-1).sum(), torch.tensor(40.0))
    assert (answer.tail.exp() < 1e-20).all()
    for first, last in zip(answer.ends[:-1].tolist(), answer.ends[1:].tolist(), strict=True):
        shares, tokens = answer.values[first:last].exp() * 8, answer.tokens[first:last]
        assert torch.allclose(shares, shares.round(), atol=1e-4)
        assert (shares.diff() <= 1e-4).all(), "the most frequent first"
        assert len(set(tokens.tolist())) == len(tokens)


def test_what_the_teacher_never_says_is_never_drawn():
    logits = torch.full((200, 30), -torch.inf)
    logits[:, [3, 29]] = 0.0
    assert set(kept(logits, 1.0, 50, 0).tokens.tolist()) == {3, 29}


def test_neither_batches_nor_the_generator_of_training_decide_what_is_drawn(monkeypatch):
    wanted = top_answers.keep(TEACHER, 1.0, 7, 5, 100)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    monkeypatch.setattr(top_answers, "AT_ONCE", 30 * 3)
    parts = [top_answers.keep(part, 1.0, 7, 5, 100 + 11 * place) for place, part in enumerate(TEACHER.split(11))]
    found = [torch.cat(arrays) for arrays in zip(*parts, strict=True)]
    assert all(torch.equal(mine, its) for mine, its in zip(found, wanted, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    for other in (top_answers.keep(TEACHER, 1.0, 7, 6, 100), top_answers.keep(TEACHER, 1.0, 7, 5, 101)):
        assert not torch.equal(other[1], wanted[1])


def test_parts_of_the_data_draw_other_tokens_and_the_likeliest_are_the_same_everywhere():
    how, likeliest = How(1.0, 8, 3), How(1.0, 8)
    seeds = {how.part(group, number).seed for group in range(5) for number in (0, 1, 100)}
    assert len(seeds) == 15
    assert likeliest.part(3, 1) == likeliest


@pytest.fixture(scope="module")
def teacher():
    return sure("gpt-tiny", 1)


def sure(name, seed):
    """A model that has learned nothing, and is as sure as if it had."""
    torch.manual_seed(seed)
    model = build(name, Problem(TASK.name, [], TASK.unlabelled(TEXTS), 48))
    with torch.no_grad():
        model.network.get_output_embeddings().weight.normal_(std=0.3)
    return model


def read(model):
    return TASK.encode(TASK.unlabelled(TEXTS), model.processor, model.network.config, 48)


def written(model, folder, how, device=CPU):
    inputs = read(model)
    made = teacher_outputs.record_top(model, inputs, device, folder, how, lambda rows: None, "found")
    return inputs, result_of(made)


@pytest.mark.parametrize(("draws", "wide"), [(64, 1), (300, 2)])
def test_on_disk_are_counts_and_what_is_read_is_what_was_drawn(teacher, tmp_path, draws, wide):
    inputs, answers = written(teacher, tmp_path / "a", How(1.0, draws, 7))
    entries, positions = int(answers.ends[-1]), len(answers.tail)
    assert answers.size_bytes == entries * (wide + 2) + positions * wide
    assert sorted(file.stem for file in (tmp_path / "a").glob("*.bin")) == ["counts", "index", "values"]
    every = torch.arange(len(inputs))
    found = answers.of(every)
    assert torch.allclose(found.values.exp().sum(), torch.tensor(float(positions)))
    times = found.values.exp() * draws
    assert torch.allclose(times, times.round(), atol=1e-3)
    assert torch.equal(answers.select(every[2:5]).of(torch.tensor([1])).tokens, answers.of(every[3:4]).tokens)
    both = answers.join(answers)
    assert torch.equal(both.of(torch.tensor([len(inputs) + 3])).values, answers.of(every[3:4]).values)


def test_recorded_anew_in_other_batches_answers_are_the_same(teacher, tmp_path):
    first, second = (written(teacher, tmp_path / str(parts), How(1.0, 64, 7), replace(CPU, parts=parts))[1]
                     for parts in (1, 8))  # fmt: skip
    assert torch.equal(first.ends, second.ends)
    assert torch.equal(first.index.long(), second.index.long())
    assert torch.equal(first.values, second.values)


def test_a_file_of_drawn_tokens_that_is_too_short_is_damage(teacher, tmp_path):
    inputs, _ = written(teacher, tmp_path / "a", How(1.0, 8, 7))
    positions = int(inputs.offsets[-1])
    assert top_answers.damage(tmp_path / "a", positions) is None
    assert "counts holds" in top_answers.damage(tmp_path / "a", positions + 1)


def test_answers_of_every_form_lie_apart_and_those_of_before_where_they_lay(home, teacher):
    rows = transfer_set.TransferSet(TASK, (TASK.unlabelled(TEXTS),), 48, 0)
    name = teacher_outputs.fingerprint(teacher, rows.whole(teacher), CPU.dtype)
    config = parse_config(SETTINGS | {"kept_as": "likeliest"})
    for changed in ({}, {"kept_answers": 8}, {"temperature": 2.5}, {"kept_as": "samples"},
                    {"kept_as": "samples", "seed": 1}, {"kept_as": "samples", "kept_answers": 8}):  # fmt: skip
        how = recorded.how(config.model_copy(update=changed), TASK)
        result_of(transfer_set.record([teacher], rows, CPU, home, "average", "record", how))
    found = {folder.name.removeprefix(name) for folder in home.teacher_outputs.iterdir()}
    assert found == {"-1-most", "-1-8", "-2.5-most", "-1-64-drawn-0", "-1-64-drawn-1000003", "-1-8-drawn-0"}


def check(teacher, inputs, answers, how, seed=0):
    context = SimpleNamespace(config=SimpleNamespace(seed=seed), device=Device(torch.device("cpu"), torch.float32))
    return list(recorded.check(context, teacher, inputs, answers, how))


def test_the_same_teacher_passes_under_20_seeds_and_the_log_says_what_answers_take(teacher, tmp_path):
    for seed in range(20):
        inputs, answers = written(teacher, tmp_path / str(seed), How(1.0, 64, seed))
        (told,) = check(teacher, inputs, answers, How(1.0, 64, seed), seed)
    assert told.message.startswith("Of each answer 64 tokens are drawn, ")
    assert f"{answers.bytes_per_position:.0f} bytes a position" in told.message


@pytest.mark.parametrize("draws", [2, 64])
def test_another_teacher_or_another_temperature_stops_the_run(teacher, tmp_path, draws):
    inputs, answers = written(teacher, tmp_path / "a", How(1.0, draws, 0))
    other = replace(sure("gpt-tiny", 2), processor=teacher.processor)
    for model, how in ((other, How(1.0, draws, 0)), (teacher, How(1.5, draws, 0)), (teacher, How(0.7, draws, 0))):
        with pytest.raises(ModelError, match="chance and rounding make at most"):
            check(model, inputs, answers, how)


def test_the_error_of_the_difference_is_known():
    p = TEACHER.log_softmax(-1)
    found = [sampled_answers.distance(*kept(TEACHER, 1.0, 16, seed)[:3], 16, p) for seed in range(400)]
    for name in ("squared", "likelier"):
        values = torch.tensor([getattr(one, name) for one in found])
        assert abs(values.mean()) < 4 * values.std() / 20
        assert values.var() == pytest.approx(getattr(found[0], f"{name}_variance"), rel=0.3)
    assert all(far < limit for far, limit in (one.furthest(0.0) for one in found))
    q = STUDENT.log_softmax(-1)
    found = [sampled_answers.distance(*kept(TEACHER, 1.0, 16, seed)[:3], 16, q) for seed in range(100)]
    wanted = {"squared": (p.exp() - q.exp()).square().sum(), "likelier": ((p.exp() - q.exp()) * q).sum()}
    for name, value in wanted.items():
        values = torch.tensor([getattr(one, name) for one in found])
        assert values.mean() == pytest.approx(float(value), abs=4 * float(values.std()) / 10)


def test_tokens_that_the_teacher_never_says_do_not_count_and_where_they_were_drawn_nothing_is_further():
    logits = TEACHER.clone()
    logits[:, :3] = -torch.inf
    same = sampled_answers.distance(*kept(logits, 1.0, 16, 0)[:3], 16, logits.log_softmax(-1))
    assert same.furthest(0.02)[0] < same.furthest(0.02)[1]
    other = sampled_answers.distance(*kept(TEACHER, 1.0, 16, 0)[:3], 16, logits.log_softmax(-1))
    assert other.furthest(0.02)[0] == math.inf


def test_a_student_that_writes_itself_learns_from_drawn_tokens_too():
    rows = TASK.unlabelled(TEXTS)
    models = tuple(build("gpt-tiny", Problem(TASK.name, [], rows, 24)) for _ in range(2))
    models = models[0], replace(models[1], processor=models[0].processor)
    how, every = How(1.0, 16, 4), torch.arange(6)
    first, again, later = (own(models, how).view(number).logits.of(every) for number in (0, 0, 1))
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens[:50], later.tokens[:50])
    times = first.values.exp() * 16
    assert torch.allclose(times, times.round(), atol=1e-3)


@pytest.mark.parametrize(("more", "said"), [
    ({"terms": "reverse_kl"}, "reverse_kl reads more"),
    ({"terms": "renormalized_top_k"}, "renormalized_top_k reads more"),
    ({"terms": "byte_spans"}, "byte_spans reads more"),
    ({"temperature_schedule": "linear"}, "temperature_schedule does not go together with samples"),
    ({"temperature_per_sample": True}, "temperature_per_sample does not go"),
    ({"auto": True}, "auto does not go"),
    ({"hard_epochs": 1}, "hard_epochs does not go together with samples, which do not tell the likeliest token"),
    ({"kept_answers": 1}, "from 2 to 65,535"), ({"kept_answers": 65_536}, "from 2 to 65,535"),
])  # fmt: skip
def test_what_samples_do_not_tell_is_refused(more, said):
    tasks.resolved(parse_config(SETTINGS), TASK, 0)
    with pytest.raises(ConfigError, match=said):
        tasks.resolved(parse_config(SETTINGS | more), TASK, 0)
    if "byte_spans" not in said:
        tasks.resolved(parse_config(SETTINGS | more | {"kept_as": "likeliest"}), TASK, 0)


def test_samples_are_for_models_that_write():
    config = parse_config(SETTINGS | {"teacher": "builtin/transformer-base", "student": "builtin/transformer-tiny"})
    with pytest.raises(ConfigError, match="kept_as is for models that write"):
        tasks.resolved(config, tasks.get("text-classification"), 2)
