"""Functions with known minima, and what a sampler finds of them."""

import math
from itertools import pairwise

import numpy as np

from bandstand_spaces import Categorical, Float, Int, SearchSpace


def rosenbrock(params, _epoch):
    return (1 - params["x"]) ** 2 + 100 * (params["y"] - params["x"] ** 2) ** 2


def branin(params, _epoch):
    """Branin's function less its minimum."""
    x, y = params["x"], params["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788735772973816


def rosenbrock4(params, _epoch):
    """Rosenbrock's function of four numbers."""
    numbers = [params[f"x{index}"] for index in range(4)]
    return sum(100 * (later - number**2) ** 2 + (1 - number) ** 2 for number, later in pairwise(numbers))


def hartmann6(params, _epoch):
    """Hartmann's function of six numbers less its minimum."""
    numbers = np.array([params[f"x{index}"] for index in range(6)])
    scale = np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    )
    centre = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    bumps = np.exp(-(scale * (numbers - centre) ** 2).sum(axis=1))
    return 3.32237 - float(np.array([1, 1.2, 3, 3.2]) @ bumps)


def sphere(params, _epoch):
    return sum((value - 1.3) ** 2 for value in params.values())


def mixed(params, _epoch):
    """Best with sgd, momentum 0.3, 17 units, 3 layers and a rate of 0.01."""
    loss = math.log10(params["rate"] / 1e-2) ** 2 / 4 + (params["units"] - 17) ** 2 / 100 + abs(params["layers"] - 3)
    return loss + ((params["momentum"] - 0.3) ** 2 if params["optimizer"] == "sgd" else 1.0)


MIXED = SearchSpace(
    {
        "rate": Float(1e-5, 1e-1, log=True),
        "units": Int(1, 40),
        "layers": Categorical([1, 2, 3, 4]),
        "optimizer": Categorical(["adam", "sgd", "lion"], branches={"sgd": {"momentum": Float(0.0, 1.0)}}),
    }
)
LANDSCAPES = {
    "rosenbrock": (SearchSpace({"x": Float(-2.0, 2.0), "y": Float(-1.0, 3.0)}), rosenbrock),
    "branin": (SearchSpace({"x": Float(-5.0, 10.0), "y": Float(0.0, 15.0)}), branin),
    "sphere": (SearchSpace({f"x{index}": Float(-5.0, 5.0) for index in range(5)}), sphere),
    "mixed": (MIXED, mixed),
}
# What the literature compares optimizers by.
KNOWN_FUNCTIONS = {
    "branin": LANDSCAPES["branin"],
    "hartmann6": (SearchSpace({f"x{index}": Float(0.0, 1.0) for index in range(6)}), hartmann6),
    "rosenbrock4": (SearchSpace({f"x{index}": Float(-2.0, 2.0) for index in range(4)}), rosenbrock4),
}
# Every kind of parameter at its limits: constants, numbers that float64 just holds, choices below choices.
ODD_SPACES = {
    "one point": SearchSpace({"a": Categorical([3])}),
    "one number": SearchSpace({"a": Float(0.0, 1.0)}),
    "choices only": SearchSpace({"a": Categorical([1, 2, 3]), "b": Categorical([True, False])}),
    "many kinds": SearchSpace(
        {
            "constant": Categorical(["only"], branches={"only": {"below": Float(1e-300, 1e300, log=True)}}),
            "wide": Float(-8e307, 8e307),
            "huge": Int(-(2**53), 2**53),
            "few": Int(1, 3, log=True),
            "many": Int(1, 10**6, log=True),
            "steps": Float(0.0, 0.3, step=0.1),
            "even": Int(2, 10, step=4),
            "nested": Categorical(
                [1, 2.5, "x"],
                branches={
                    1: {"deep": Categorical([False, True], branches={True: {"deeper": Float(1e-5, 1e-1, log=True)}})},
                    "x": {"other": Int(0, 1)},
                },
            ),
        }
    ),
}
