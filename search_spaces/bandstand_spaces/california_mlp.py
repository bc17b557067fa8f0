"""A multilayer perceptron for California housing prices: regression, where regularization and scale decide."""

from bandstand_spaces.parameters import Categorical, Float, Int
from bandstand_spaces.space import SearchSpace

SPACE = SearchSpace(
    {
        "layers": Int(1, 4),
        "units": Int(16, 256, log=True),
        "activation": Categorical(["relu", "gelu", "tanh"]),
        "l2": Float(1e-7, 1e-2, log=True),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "batch_size": Categorical([32, 64, 128, 256]),
    }
)
