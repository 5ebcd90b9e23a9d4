"""Dynamic batching: what comes while a model works goes into its next batch."""

import asyncio
import threading

import pytest

from studio.errors import DataError, ModelError
from studio.serve.batching import AT_ONCE, Batcher, BusyError
from tests.conftest import in_a_loop


class Model:
    """Answers with what it was asked; waits at its first batches until it may go on."""

    def __init__(self, slow=0):
        self.batches = []
        self.go_on = threading.Event()
        self.slow = slow

    def __call__(self, whom, values):
        self.batches.append((whom, list(values)))
        if len(self.batches) <= self.slow:
            assert self.go_on.wait(60)
        if "wrong" in values:
            raise DataError("An input is wrong.", "Mend it.")
        if whom == "gone":
            raise ModelError("It is gone.", "Train it.")
        return [f"{whom} says {value}" for value in values]


async def busy(batcher, model, whom="a"):
    """Both batches that are answered at once are, by a model that waits."""
    held = []
    for number in range(AT_ONCE):
        held.append(asyncio.create_task(batcher.ask(whom, [f"held {number}"])))
        while len(model.batches) <= number:
            await asyncio.sleep(0.001)
    return held


def test_what_waits_together_is_answered_together_and_in_order():
    model = Model(slow=AT_ONCE)

    async def ask():
        batcher = Batcher(model, most_rows=4)
        held = await busy(batcher, model)
        asked = [asyncio.create_task(batcher.ask("a", [number])) for number in range(5)]
        await asyncio.sleep(0)
        model.go_on.set()
        await asyncio.gather(*held)
        return await asyncio.gather(*asked)

    assert in_a_loop(ask()) == [[f"a says {number}"] for number in range(5)]
    assert sorted(len(values) for _, values in model.batches) == [1, 1, 1, 4]


def test_a_thousand_rows_are_cut_so_that_one_row_need_not_wait_for_them():
    model = Model()

    async def ask():
        return await Batcher(model, most_rows=64).ask("a", list(range(1000)))

    assert in_a_loop(ask()) == [f"a says {number}" for number in range(1000)]
    assert max(len(values) for _, values in model.batches) == 64


def test_models_are_not_mixed():
    model = Model(slow=AT_ONCE)

    async def ask():
        batcher = Batcher(model)
        await busy(batcher, model)
        asked = [asyncio.create_task(batcher.ask(whom, [number])) for number, whom in enumerate("abab")]
        await asyncio.sleep(0)
        model.go_on.set()
        return await asyncio.gather(*asked)

    assert in_a_loop(ask()) == [[f"{whom} says {number}"] for number, whom in enumerate("abab")]
    assert sorted(model.batches[AT_ONCE:]) == [("a", [0, 2]), ("b", [1, 3])]


def test_an_input_that_cannot_be_read_fails_alone():
    model = Model(slow=AT_ONCE)

    async def ask():
        batcher = Batcher(model)
        await busy(batcher, model)
        asked = [asyncio.create_task(batcher.ask("a", [value])) for value in ("good", "wrong", "fine")]
        await asyncio.sleep(0)
        model.go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    good, wrong, fine = in_a_loop(ask())
    assert (good, fine) == (["a says good"], ["a says fine"])
    assert isinstance(wrong, DataError)
    assert model.batches[AT_ONCE] == ("a", ["good", "wrong", "fine"])


def test_who_has_gone_is_not_answered_and_what_a_model_raises_is_heard():
    model = Model(slow=AT_ONCE)

    async def ask():
        batcher = Batcher(model)
        await busy(batcher, model)
        left, gone = (asyncio.create_task(batcher.ask(whom, ["z"])) for whom in ("left", "gone"))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        model.go_on.set()
        with pytest.raises(ModelError):
            await gone

    in_a_loop(ask())
    assert "left" not in [whom for whom, _ in model.batches]


def test_more_than_can_wait_is_refused():
    async def ask():
        await Batcher(Model(), most_waiting=10).ask("a", list(range(11)))

    with pytest.raises(BusyError, match="10 rows wait"):
        in_a_loop(ask())


def test_a_batch_behind_another_one_grows_while_the_model_is_busy_with_that():
    model = Model(slow=1)

    async def ask():
        batcher = Batcher(model)
        first = asyncio.create_task(batcher.ask("a", ["held"]))
        while not model.batches:
            await asyncio.sleep(0.001)
        batcher._took = 60.0  # as if the model took so long
        more = []
        for number in range(3):  # one after the other, as they come
            more.append(asyncio.create_task(batcher.ask("a", [number])))
            await asyncio.sleep(0.01)
        model.go_on.set()
        await asyncio.gather(first, *more)

    in_a_loop(ask())
    assert model.batches == [("a", ["held"]), ("a", [0, 1, 2])]
