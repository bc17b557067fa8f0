"""Errands between the coordinator and Ray Tune's processes: begun once, answered once, begun again only if unbegun."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from bandstand.errors import ServiceError
from bandstand_workers.tune.errands import NO_MORE, Desk, Errands


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 10))


def test_a_desk_s_call_is_an_errand_whose_config_says_what_is_trained() -> None:
    async def story() -> None:
        errands = Errands()
        assignment = SimpleNamespace(trial=3, attempt=2, params={"rate": 0.1})
        answer = Desk(errands).train.remote("coordinator", assignment, "folder", None, None)
        config = await errands.suggest(0)
        assert config == {"errand": 1, "method": "train", "trial": 3, "attempt": 2, "params": {"rate": 0.1}}
        errand = errands.take(1)
        assert errand is not None
        assert errand.arguments[1] is assignment
        assert errands.take(1) is None
        errands.answer(1, "done")
        await asyncio.sleep(0)
        assert not answer.done(), "the coordinator hears of it when Tune has its process back"
        errands.complete(1)
        assert await answer == "done"

    run(story())


def test_an_errand_whose_process_died_is_not_done_again() -> None:
    async def story() -> None:
        errands = Errands()
        answer = Desk(errands).evaluate.remote("model")
        await errands.suggest(0)
        errands.take(1)
        errands.complete(1)
        with pytest.raises(ray.exceptions.RayActorError, match="died"):
            await answer
        assert await errands.suggest(0) is None

    run(story())


def test_an_errand_that_no_process_began_is_suggested_again_but_not_forever() -> None:
    async def story() -> None:
        errands = Errands()
        answer = Desk(errands).evaluate.remote("model")
        for _ in range(5):
            config = await errands.suggest(0)
            assert isinstance(config, dict)
            errands.complete(config["errand"])
        with pytest.raises(ServiceError, match="did not get a process to start, 5 times in a row"):
            await answer

    run(story())


def test_a_suggestion_waits_for_an_errand_as_long_as_it_may() -> None:
    async def story() -> None:
        errands = Errands()
        assert await errands.suggest(0.01) is None
        suggestion = asyncio.create_task(errands.suggest(5))
        await asyncio.sleep(0)
        Desk(errands).evaluate.remote("model")
        assert await suggestion == {"errand": 1, "method": "evaluate"}
        suggestion = asyncio.create_task(errands.suggest(5))
        await asyncio.sleep(0)
        errands.close()
        assert await suggestion == NO_MORE

    run(story())


def test_what_an_errand_raised_is_raised_where_it_was_asked_for() -> None:
    async def story() -> None:
        errands = Errands()
        answer = Desk(errands).evaluate.remote("model")
        await errands.suggest(0)
        errands.take(1)
        errands.answer(1, ray.exceptions.RayTaskError("errand", "Traceback", RuntimeError("no")))
        errands.complete(1)
        with pytest.raises(ray.exceptions.RayTaskError):
            await answer

    run(story())
