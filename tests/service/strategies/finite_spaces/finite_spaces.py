"""Finite spaces of several shapes, small as their conditions have them and most of them huge without."""

from bandstand_spaces import Categorical, Float, Int, SearchSpace

__all__ = ["FINITE_SPACES", "chain"]


def chain(length, last):
    """Flags, each below the one before it; what is at the end is found by one random draw in 2 ** length."""
    below = last
    for index in reversed(range(length)):
        below = {f"flag{index}": Categorical([False, True], branches={True: below})}
    return below


FINITE_SPACES = {
    "flat": SearchSpace({"a": Int(1, 3), "b": Float(0.0, 0.3, step=0.1), "c": Int(1, 3, log=True)}),
    "six branches": SearchSpace(
        {"kind": Categorical(list("abcdef"), branches={kind: {f"of_{kind}": Int(1, 7)} for kind in "abcdef"})}
    ),
    "a chain": SearchSpace(chain(18, {"last": Int(1, 5)})),
    "branches in branches": SearchSpace(
        {
            "outer": Categorical(
                [1, 2.5, "x"],
                branches={
                    1: {"inner": Categorical(["p", "q"], branches={"p": {"steps": Float(0.1, 0.7, step=0.2)}})},
                    "x": {"pair": Int(0, 1), **chain(14, {"last": Int(8, 9, log=True)})},
                },
            )
        }
    ),
    "branches side by side": SearchSpace(
        {
            "left": Categorical(["a", "b"], branches={"a": {"of_a": Int(1, 3)}, "b": {"of_b": Int(1, 2, log=True)}}),
            "right": Categorical([True, False], branches={True: chain(6, {"last": Int(2, 10, step=4)})}),
        }
    ),
}
