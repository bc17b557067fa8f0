"""The kernel refuses a process more than its limit while it trains, and a model that was not built can be counted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from bandstand_workers.training.memory.memory_limit import MemoryLimit, resident_bytes


def said_by(code: str) -> list[str]:
    """What a process of its own prints: a limit is for a whole process."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is Linux's; elsewhere the process is watched")
def test_what_is_asked_for_beyond_the_limit_is_refused_and_may_be_had_afterwards() -> None:
    said = said_by("""
        import numpy as np
        from bandstand_workers.training.memory.memory_limit import MemoryLimit, resident_bytes
        limit = MemoryLimit(resident_bytes() + 300_000_000, resident_bytes())
        with limit.held():
            small = np.ones(10_000_000)
            try:
                np.ones(100_000_000)
            except MemoryError as error:
                print(str(error)[:18])
        print(len(np.ones(100_000_000)))
    """)
    assert said == ["Unable to allocate", "100000000"]


def test_a_training_beside_another_is_not_sure_to_be_too_large() -> None:
    limit = MemoryLimit(None)
    with limit.held() as alone:
        assert not alone.crowded
    begun, over = threading.Event(), threading.Event()
    fresh = MemoryLimit(resident_bytes() + 10**12, resident_bytes())

    def train() -> None:
        with fresh.held():
            begun.set()
            over.wait(20)

    with fresh.held() as first:
        assert not first.crowded
        thread = threading.Thread(target=train)
        thread.start()
        assert begun.wait(20)
        assert first.crowded, "another began beside it"
        over.set()
        thread.join()
    with fresh.held() as later:
        assert not later.crowded, "what the others took is given back"


def test_a_training_in_a_process_that_others_have_filled_is_crowded() -> None:
    used = resident_bytes()
    with MemoryLimit(used + 10**6, used - 10**9).held() as use:
        assert use.crowded


def test_a_model_too_large_to_be_built_is_counted_by_its_shapes() -> None:
    said = said_by("""
        import os
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        import keras
        from bandstand_workers.training.memory.memory_limit import resident_bytes
        from bandstand_workers.training.memory.parameter_count import count_by_shapes, count_of

        def build():
            model = keras.Sequential([keras.Input((100_000,)), keras.layers.Dense(1_000_000), keras.layers.Dense(3)])
            model.compile("adam", "mse", metrics=["mae"])
            return model

        def build_and_set():
            model = build()
            model.set_weights([0.0])
            return model

        before = resident_bytes()
        print(count_by_shapes(build), resident_bytes() - before < 10**9, count_by_shapes(build_and_set))
        small = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        print(count_of(small), len(small.get_weights()))
    """)
    assert said[-2:] == [f"{100_000 * 10**6 + 10**6 + 3 * 10**6 + 3} True None", "8 2"]
