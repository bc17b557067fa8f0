"""Processes of a study that die, or stand still, at a chosen point of Bandstand's code: once in a project's life.

Every process of a study reads `sitecustomize` from PYTHONPATH when Python starts. It waits until the module is imported
that has the point, and puts itself around the function.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["interrupt_at"]

HOOK = """
import functools, importlib.abc, os, sys, time

MODULE, OWNER, FUNCTION, WHEN, HOW, MARK = {choice!r}


def here(*_):
    try:
        os.close(os.open(MARK, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    if HOW == "stands still":
        time.sleep(3600)
    os.kill(os.getpid(), 9)


def around(function):
    @functools.wraps(function)
    def wrapped(*arguments, **more):
        if WHEN(arguments, more):
            if HOW == "dies before":
                here()
            if HOW == "dies in the middle":
                path = arguments[1]
                os.makedirs(os.path.dirname(path), exist_ok=True)
                stem = os.path.splitext(path)[0]
                with open(stem + "." + str(os.getpid()) + ".unfinished", "wb") as file:
                    file.write(arguments[0][: len(arguments[0]) // 2])
                here()
        value = function(*arguments, **more)
        if WHEN(arguments, more):
            here()
        return value
    return wrapped


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        import importlib.util
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            owner = getattr(module, OWNER) if OWNER else module
            setattr(owner, FUNCTION, around(getattr(owner, FUNCTION)))

        spec.loader.exec_module = exec_module
        return spec


WHEN = eval(WHEN)
sys.meta_path.insert(0, Finder())
"""


def interrupt_at(folder: Path, where: str, how: str, when: str = "lambda arguments, more: True") -> tuple[Path, Path]:
    """Prepare the interruption.

    Args:
        folder: where the hook is written.
        where: `module:function` or `module:Class.method`.
        how: "dies before" the call, "dies after" it, "dies in the middle" of writing a file, or "stands still".
        when: an expression for a function of the call's arguments: whether it is the one.

    Returns:
        The folder for PYTHONPATH, and the file that is there once a process has come to the point.
    """
    module, _, function = where.partition(":")
    owner, _, function = function.rpartition(".")
    hooks, mark = folder / "hooks", folder / "interrupted"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK.format(choice=(module, owner, function, when, how, str(mark))))
    return hooks, mark
