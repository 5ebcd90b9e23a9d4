"""Losses on features and relations against their definitions in plain Python, and what theory says of them."""

import math

import pytest
import torch

from studio.distill.losses import (
    attention_distribution_loss,
    attention_transfer_loss,
    hidden_cosine_loss,
    hint_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    similarity_loss,
    value_relation_loss,
)

BATCH, LENGTH, WIDTH, HEADS = 4, 3, 6, 2
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    return random(BATCH, LENGTH, WIDTH, seed=0), random(BATCH, LENGTH, WIDTH, seed=1)


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    return random(BATCH, 2, 3, 3, seed=2), random(BATCH, 5, 3, 3, seed=3)


@pytest.fixture
def embeddings() -> tuple[torch.Tensor, torch.Tensor]:
    return random(BATCH, 3, seed=4), random(BATCH, WIDTH, seed=5)


def real_tokens() -> list[tuple[int, int]]:
    return [(row, place) for row in range(BATCH) for place in range(LENGTH) if MASK[row, place]]


def unit(values: list[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in values))
    return [value / length for value in values]


def dot(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def huber(first: float, second: float) -> float:
    apart = abs(first - second)
    return apart**2 / 2 if apart < 1 else apart - 0.5


def distance(first: list[float], second: list[float]) -> float:
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)))


def distances(rows: list[list[float]]) -> list[list[float]]:
    table = [[distance(a, b) for b in rows] for a in rows]
    apart = [value for line in table for value in line if value > 0]
    return [[value / (sum(apart) / len(apart)) for value in line] for line in table]


def angle(corner: list[float], first: list[float], second: list[float]) -> float:
    side = [a - b for a, b in zip(first, corner, strict=True)]
    other = [a - b for a, b in zip(second, corner, strict=True)]
    if not any(side) or not any(other):
        return 0.0
    return dot(unit(side), unit(other))


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_hints_equal_their_definition_over_real_tokens(tokens):
    student, teacher = (values.tolist() for values in tokens)
    squares = [
        (student[row][place][unit_] - teacher[row][place][unit_]) ** 2
        for row, place in real_tokens()
        for unit_ in range(WIDTH)
    ]
    assert hint_loss(*tokens, MASK).item() == pytest.approx(sum(squares) / len(squares))


def test_the_cosine_of_hidden_states_equals_its_definition_over_real_tokens(tokens):
    student, teacher = (values.tolist() for values in tokens)
    found = [1 - dot(unit(student[row][place]), unit(teacher[row][place])) for row, place in real_tokens()]
    assert hidden_cosine_loss(*tokens, MASK).item() == pytest.approx(sum(found) / len(found))


def test_attention_transfer_equals_its_definition(maps):
    def activity(channels: list[list[list[float]]]) -> list[float]:
        return unit(
            [
                sum(channel[y][x] ** 2 for channel in channels) / len(channels)
                for y in range(3)
                for x in range(3)
            ]
        )  # fmt: skip

    student, teacher = (values.tolist() for values in maps)
    squares = [
        (a - b) ** 2
        for mine, theirs in zip(student, teacher, strict=True)
        for a, b in zip(activity(mine), activity(theirs), strict=True)
    ]
    found = attention_transfer_loss(*maps, torch.ones(BATCH, 1))
    assert found.item() == pytest.approx(sum(squares) / len(squares))


def attention(seed: int, heads: int = HEADS) -> torch.Tensor:
    scores = random(BATCH, heads, LENGTH, LENGTH, seed=seed)
    return scores.masked_fill(MASK[:, None, None, :] == 0, float("-inf")).softmax(-1)


def test_attention_distributions_equal_their_definition_over_real_tokens():
    student, teacher = attention(6), attention(7)
    total = 0.0
    for row, place in real_tokens():
        for head in range(HEADS):
            p, q = teacher[row, head, place].tolist(), student[row, head, place].tolist()
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0) / HEADS
    found = attention_distribution_loss(student, teacher, MASK)
    assert found.item() == pytest.approx(total / len(real_tokens()))


def test_attention_of_another_number_of_heads_is_compared_by_its_mean():
    student, teacher = attention(6, heads=2), attention(7, heads=4)
    means = [values.mean(1, keepdim=True) for values in (student, teacher)]
    assert attention_distribution_loss(student, teacher, MASK).item() == pytest.approx(
        attention_distribution_loss(*means, MASK).item()
    )


def test_value_relations_equal_their_definition_for_models_of_different_width():
    student, teacher = random(BATCH, HEADS, LENGTH, 2, seed=8), random(BATCH, HEADS, LENGTH, 5, seed=9)

    def relation(values: torch.Tensor, row: int, head: int, place: int) -> list[float]:
        here = [other for other in range(LENGTH) if MASK[row, other]]
        mine = values[row, head, place].tolist()
        return softmax([dot(mine, values[row, head, other].tolist()) / math.sqrt(len(mine)) for other in here])

    total = 0.0
    for row, place in real_tokens():
        for head in range(HEADS):
            p, q = relation(teacher, row, head, place), relation(student, row, head, place)
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / HEADS
    found = value_relation_loss(student, teacher, MASK)
    assert found.item() == pytest.approx(total / len(real_tokens()))


def test_distances_of_pairs_equal_their_definition(embeddings):
    student, teacher = (distances(values.tolist()) for values in embeddings)
    found = [huber(student[a][b], teacher[a][b]) for a in range(BATCH) for b in range(BATCH)]
    assert rkd_distance_loss(*embeddings).item() == pytest.approx(sum(found) / len(found))


def test_angles_of_triplets_equal_their_definition(embeddings):
    student, teacher = (values.tolist() for values in embeddings)
    everyone = range(BATCH)
    found = [
        huber(angle(student[a], student[b], student[c]), angle(teacher[a], teacher[b], teacher[c]))
        for a in everyone
        for b in everyone
        for c in everyone
    ]
    assert rkd_angle_loss(*embeddings).item() == pytest.approx(sum(found) / len(found))


def test_similarities_equal_their_definition(embeddings):
    def similar(rows: list[list[float]]) -> list[list[float]]:
        return [unit([dot(a, b) for b in rows]) for a in rows]

    student, teacher = (similar(values.tolist()) for values in embeddings)
    squares = [(student[a][b] - teacher[a][b]) ** 2 for a in range(BATCH) for b in range(BATCH)]
    assert similarity_loss(*embeddings).item() == pytest.approx(sum(squares) / BATCH**2)


def test_relations_do_not_change_when_an_embedding_is_scaled_shifted_or_turned(embeddings):
    student, teacher = embeddings
    turn = torch.linalg.qr(random(WIDTH, WIDTH, seed=10))[0]
    for loss in (rkd_distance_loss, rkd_angle_loss):
        assert loss(student, 7 * teacher @ turn + 3).item() == pytest.approx(loss(student, teacher).item())
        assert loss(7 * teacher @ turn + 3, teacher).item() == pytest.approx(0, abs=1e-12)


def test_similarities_do_not_change_when_an_embedding_is_scaled_or_turned(embeddings):
    student, teacher = embeddings
    turn = torch.linalg.qr(random(WIDTH, WIDTH, seed=10))[0]
    turned = similarity_loss(student, 7 * teacher @ turn)
    assert turned.item() == pytest.approx(similarity_loss(student, teacher).item())


def test_the_scale_of_a_map_makes_no_difference_to_attention_transfer(maps):
    student, teacher = maps
    mask = torch.ones(BATCH, 1)
    before = attention_transfer_loss(student, teacher, mask)
    assert attention_transfer_loss(5 * student, -2 * teacher, mask).item() == pytest.approx(before.item())


def test_the_scale_of_hidden_states_makes_no_difference_to_their_cosine(tokens):
    student, teacher = tokens
    before = hidden_cosine_loss(student, teacher, MASK)
    assert hidden_cosine_loss(5 * student, 0.2 * teacher, MASK).item() == pytest.approx(before.item())


def test_padding_counts_in_no_loss(tokens):
    student, teacher = tokens
    noise = 100 * random(BATCH, LENGTH, WIDTH, seed=11) * (MASK == 0).unsqueeze(-1)
    for loss in (hint_loss, hidden_cosine_loss, attention_transfer_loss):
        assert loss(student + noise, teacher, MASK).item() == pytest.approx(loss(student, teacher, MASK).item())
    values = [values.view(BATCH, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2) for values in (student, teacher, noise)]
    before = value_relation_loss(values[0], values[1], MASK)
    assert value_relation_loss(values[0] + values[2], values[1], MASK).item() == pytest.approx(before.item())


FEATURE = {
    "hint": (lambda s, t: hint_loss(s, t, MASK), (BATCH, LENGTH, WIDTH)),
    "hidden_cosine": (lambda s, t: hidden_cosine_loss(s, t, MASK), (BATCH, LENGTH, WIDTH)),
    "attention_transfer": (lambda s, t: attention_transfer_loss(s, t, torch.ones(BATCH, 1)), (BATCH, 2, 3, 3)),
    "attention_distribution": (
        lambda s, t: attention_distribution_loss(s.softmax(-1), t.softmax(-1), torch.ones(BATCH, LENGTH)),
        (BATCH, HEADS, LENGTH, LENGTH),
    ),
    "value_relation": (lambda s, t: value_relation_loss(s, t, MASK), (BATCH, HEADS, LENGTH, 2)),
    "rkd_distance": (rkd_distance_loss, (BATCH, WIDTH)),
    "rkd_angle": (rkd_angle_loss, (BATCH, WIDTH)),
    "similarity": (similarity_loss, (BATCH, WIDTH)),
}


@pytest.mark.parametrize("name", FEATURE)
def test_the_gradient_is_the_one_that_finite_differences_give(name):
    loss, shape = FEATURE[name]
    student, teacher = random(*shape, seed=12).requires_grad_(), random(*shape, seed=13)
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher), (student,))


@pytest.mark.parametrize("name", FEATURE)
def test_a_student_that_agrees_with_its_teacher_has_no_loss_and_no_broken_gradient(name):
    loss, shape = FEATURE[name]
    student = random(*shape, seed=13).requires_grad_()
    found = loss(student, student.detach().clone())
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss, similarity_loss])
def test_two_examples_in_the_same_place_do_not_break_the_gradient(loss):
    student = random(BATCH, WIDTH, seed=14)
    student[1] = student[0]
    student.requires_grad_()
    loss(student, random(BATCH, WIDTH, seed=15)).backward()
    assert torch.isfinite(student.grad).all()
