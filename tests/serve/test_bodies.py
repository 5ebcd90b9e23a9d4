"""Bodies of requests: no more of them comes, and is held, than may."""

import asyncio

import pytest
from starlette.requests import Request

from studio.errors import LimitError
from studio.serve.batching import BusyError
from studio.serve.bodies import Bodies
from tests.conftest import in_a_loop

MB = 1024**2


def sending(megabytes, sent, and_then=None):
    """A request whose body comes in parts of a megabyte; `and_then` is waited for before the last one."""

    async def receive():
        sent.append(MB)
        if and_then is not None and len(sent) == megabytes:
            await and_then.wait()
        return {"type": "http.request", "body": b" " * MB, "more_body": len(sent) < megabytes}

    return Request({"type": "http", "headers": []}, receive)


async def read(bodies, request):
    async with bodies.read(request) as body:
        assert bodies.held >= len(body)
        return len(body)


def test_no_more_of_a_body_is_read_than_may_come():
    sent, bodies = [], Bodies()
    with pytest.raises(LimitError, match="16 MB"):
        in_a_loop(read(bodies, sending(100, sent)))
    assert len(sent) == 17
    assert bodies.held == 0


def test_a_body_that_never_comes_to_its_end_is_let_go():
    sent, bodies = [], Bodies(seconds=0.05)

    async def never():
        await read(bodies, sending(3, sent, asyncio.Event()))

    with pytest.raises(LimitError, match="not here after"):
        in_a_loop(never())
    assert (len(sent), bodies.held) == (3, 0)


def test_many_bodies_together_take_no_more_memory_than_they_may_and_leave_it_when_they_are_answered():
    bodies = Bodies(most_held=8 * MB)

    async def together():
        going, come = asyncio.Event(), []
        slow = [asyncio.create_task(read(bodies, sending(3, [], going))) for _ in range(4)]
        while bodies.held < 8 * MB:
            await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await read(bodies, sending(3, come))
        assert (len(come), bodies.held) == (1, 8 * MB)
        for one in slow[2:]:
            one.cancel()
        await asyncio.gather(*slow[2:], return_exceptions=True)
        going.set()
        assert await asyncio.gather(*slow[:2]) == [3 * MB, 3 * MB]
        assert await read(bodies, sending(8, [])) == 8 * MB
        assert bodies.held == 0

    in_a_loop(together())
