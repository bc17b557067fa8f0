"""Calls between the coordinator and Ray Tune's processes: begun once, answered once, begun again only if unbegun."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from bandstand.errors import ServiceError
from bandstand_workers.tune.trainer_calls import Suggestion, TrainerCalls, TuneTrainer


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 10))


def test_a_desk_s_call_is_a_call_whose_config_says_what_is_trained() -> None:
    async def story() -> None:
        calls = TrainerCalls()
        assignment = SimpleNamespace(trial=3, attempt=2, params={"rate": 0.1})
        answer = TuneTrainer(calls).train.remote("coordinator", assignment, "folder", None, None)
        config = (await calls.suggest(0)).config
        assert config == {"call": 1, "method": "train", "trial": 3, "attempt": 2, "params": {"rate": 0.1}}
        call = calls.take(1)
        assert call is not None
        assert call.arguments[1] is assignment
        assert calls.take(1) is None
        calls.answer(1, "done")
        await asyncio.sleep(0)
        assert not answer.done(), "the coordinator hears of it when Tune has its process back"
        calls.complete(1)
        assert await answer == "done"

    run(story())


def test_a_call_whose_process_died_is_not_done_again() -> None:
    async def story() -> None:
        calls = TrainerCalls()
        answer = TuneTrainer(calls).evaluate.remote("model")
        await calls.suggest(0)
        calls.take(1)
        calls.complete(1)
        with pytest.raises(ray.exceptions.RayActorError, match="died"):
            await answer
        assert await calls.suggest(0) == Suggestion()

    run(story())


def test_a_call_that_no_process_began_is_suggested_again_but_not_forever() -> None:
    async def story() -> None:
        calls = TrainerCalls()
        answer = TuneTrainer(calls).evaluate.remote("model")
        for _ in range(5):
            config = (await calls.suggest(0)).config
            assert config is not None
            calls.complete(config["call"])
        with pytest.raises(ServiceError, match="did not get a process to start, 5 times in a row"):
            await answer

    run(story())


def test_a_suggestion_waits_for_a_call_as_long_as_it_may() -> None:
    async def story() -> None:
        calls = TrainerCalls()
        assert await calls.suggest(0.01) == Suggestion()
        suggestion = asyncio.create_task(calls.suggest(5))
        await asyncio.sleep(0)
        TuneTrainer(calls).evaluate.remote("model")
        assert (await suggestion).config == {"call": 1, "method": "evaluate"}
        suggestion = asyncio.create_task(calls.suggest(5))
        await asyncio.sleep(0)
        calls.close()
        assert await suggestion == Suggestion(over=True)

    run(story())


def test_what_a_call_raised_is_raised_where_it_was_asked_for() -> None:
    async def story() -> None:
        calls = TrainerCalls()
        answer = TuneTrainer(calls).evaluate.remote("model")
        await calls.suggest(0)
        calls.take(1)
        calls.answer(1, ray.exceptions.RayTaskError("call", "Traceback", RuntimeError("no")))
        calls.complete(1)
        with pytest.raises(ray.exceptions.RayTaskError):
            await answer

    run(story())
