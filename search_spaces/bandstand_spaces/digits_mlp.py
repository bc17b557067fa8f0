"""A multilayer perceptron for the 8x8 digits of scikit-learn: quick to train, so a space to try things with."""

from bandstand_spaces.parameters import Categorical, Float, Int
from bandstand_spaces.space import SearchSpace

SPACE = SearchSpace(
    {
        "layers": Int(1, 2),
        "units": Int(16, 128, step=16),
        "dropout": Float(0.0, 0.5),
        "optimizer": Categorical(
            ["sgd", "adam"],
            branches={
                "sgd": {"momentum": Float(0.0, 0.99), "nesterov": Categorical([False, True])},
                "adam": {"beta_1": Float(0.5, 0.99)},
            },
        ),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "batch_size": Categorical([16, 32, 64]),
    }
)
