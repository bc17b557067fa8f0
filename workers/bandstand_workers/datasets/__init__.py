"""Data sets that come with Bandstand, each split the same way on every machine.

A loader is a function without arguments, `load() -> Splits`: three pairs of NumPy arrays, "train" to fit, "validation"
to search by, "test" to be looked at once, after the search. Whatever is scaled is scaled by what the training part
says. A loader reads the folder that `BANDSTAND_DATA` names where its file is there, and otherwise lets `keras.datasets`
download it. `DATASETS` names loaders as `module:function`, the form in which a study names them, so that looking one up
imports nothing. A new data set is one file and one line.
"""

from collections.abc import Mapping
from types import MappingProxyType

DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "california": "bandstand_workers.datasets.california:load",
        "digits": "bandstand_workers.datasets.digits:load",
        "fashion_mnist": "bandstand_workers.datasets.fashion_mnist:load",
        "mnist": "bandstand_workers.datasets.mnist:load",
    }
)

__all__ = ["DATASETS"]
