"""Models that come with Bandstand: one builder for each search space in `bandstand_spaces`.

A builder is a user's function, `build(params) -> compiled keras.Model`. It takes params of its space and knows nothing
of studies or workers. `MODELS` names builders as `module:function`, the form in which a study names them, so that
looking one up imports no Keras. A new model is one file and one line.
"""

from collections.abc import Mapping
from types import MappingProxyType

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "california_mlp": "bandstand_workers.models.california_mlp:build",
        "digits_mlp": "bandstand_workers.models.digits_mlp:build",
        "mnist_lenet": "bandstand_workers.models.mnist_lenet:build",
        "mnist_mlp": "bandstand_workers.models.mnist_mlp:build",
    }
)

__all__ = ["MODELS"]
