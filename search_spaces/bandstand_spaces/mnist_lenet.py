"""A LeNet-5 with its sizes set free, for 28x28 images: convolutions, so the space to take a GPU for."""

from bandstand_spaces.parameters import Categorical, Float, Int
from bandstand_spaces.space import SearchSpace

SPACE = SearchSpace(
    {
        "filters": Int(4, 32, step=4),
        "kernel_size": Categorical([3, 5]),
        "activation": Categorical(["relu", "tanh"]),
        "dense_units": Int(32, 256, step=32),
        "dropout": Float(0.0, 0.5),
        "optimizer": Categorical(
            ["sgd", "adam"],
            branches={
                "sgd": {"momentum": Float(0.0, 0.99), "nesterov": Categorical([False, True])},
                "adam": {"beta_1": Float(0.5, 0.99)},
            },
        ),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "batch_size": Categorical([64, 128, 256]),
    }
)
