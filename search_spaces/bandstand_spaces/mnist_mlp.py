"""A multilayer perceptron for 28x28 images: MNIST, or Fashion-MNIST where MNIST is too easy to tell settings apart."""

from bandstand_spaces.parameters import Categorical, Float, Int
from bandstand_spaces.space import SearchSpace

SPACE = SearchSpace(
    {
        "layers": Int(1, 3),
        "units": Int(32, 512, log=True),
        "activation": Categorical(["relu", "gelu", "tanh"]),
        "dropout": Float(0.0, 0.5),
        "optimizer": Categorical(
            ["sgd", "adam"],
            branches={
                "sgd": {"momentum": Float(0.0, 0.99), "nesterov": Categorical([False, True])},
                "adam": {"beta_1": Float(0.5, 0.99)},
            },
        ),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "batch_size": Categorical([32, 64, 128, 256]),
    }
)
