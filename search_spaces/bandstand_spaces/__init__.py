"""Search spaces as data.

A `SearchSpace` names its parameters: `Float`, `Int` and `Categorical`. A choice of a `Categorical` may have parameters
of its own, to any depth. A space cannot change, and two spaces are equal if they have the same parameters in the same
order. Pickle, JSON, TOML and PostgreSQL give a space back unchanged; values for which that is not possible raise a
ValueError when the space is made.

The same space serves every strategy: `grid()` for grid search, `sample(rng)` for random search, `suggest(trial)` for an
Optuna sampler, `check(params)` for params from elsewhere. `from_tune`, `to_tune` and `from_keras_tuner` convert spaces
of other libraries. No Keras is imported here, and no Optuna or Ray before a function needs it, so that the command line
starts at once. A new space is one file with a `SPACE` and one line in `SEARCH_SPACES`; `studies/` holds a complete
study for each.
"""

from collections.abc import Mapping
from types import MappingProxyType

from bandstand_spaces import california_mlp, digits_mlp, mnist_lenet, mnist_mlp
from bandstand_spaces.keras_tuner import KerasTunerBuilder
from bandstand_spaces.parameter_tree import FlatParameter
from bandstand_spaces.parameters import Categorical, Float, Int, Parameter
from bandstand_spaces.space import SearchSpace
from bandstand_spaces.values import Value

SEARCH_SPACES: Mapping[str, SearchSpace] = MappingProxyType(
    {
        "california_mlp": california_mlp.SPACE,
        "digits_mlp": digits_mlp.SPACE,
        "mnist_lenet": mnist_lenet.SPACE,
        "mnist_mlp": mnist_mlp.SPACE,
    }
)

__all__ = [
    "SEARCH_SPACES",
    "Categorical",
    "FlatParameter",
    "Float",
    "Int",
    "KerasTunerBuilder",
    "Parameter",
    "SearchSpace",
    "Value",
]
