"""Fashion-MNIST: 70,000 pictures of clothes in ten classes, in MNIST's format (Xiao, Rasul and Vollgraf, 2017)."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandstand_workers.datasets.local_files import find_local
from bandstand_workers.datasets.splits import Splits, splits_from_images

_FOLDER = "keras/datasets/fashion-mnist"
# IDX files begin with their type, their number of dimensions, and four bytes for the size of each.
_LABELS_OFFSET, _IMAGES_OFFSET = 8, 16


def load() -> Splits:
    """50,000, 10,000 and 10,000 images float32 [n, 28, 28, 1] from 0 to 1, with labels int32 [n] from 0 to 9.

    The validation part is the last 10,000 training images, the test part the original one.
    """
    files = find_local(
        f"{_FOLDER}/train-images-idx3-ubyte.gz",
        f"{_FOLDER}/train-labels-idx1-ubyte.gz",
        f"{_FOLDER}/t10k-images-idx3-ubyte.gz",
        f"{_FOLDER}/t10k-labels-idx1-ubyte.gz",
    )
    if files is None:
        import keras

        return splits_from_images(*keras.datasets.fashion_mnist.load_data())
    train_images, train_labels, test_images, test_labels = files
    return splits_from_images(
        (_read(train_images, _IMAGES_OFFSET).reshape(-1, 28, 28), _read(train_labels, _LABELS_OFFSET)),
        (_read(test_images, _IMAGES_OFFSET).reshape(-1, 28, 28), _read(test_labels, _LABELS_OFFSET)),
    )


def _read(file: Path, offset: int) -> NDArray[Any]:
    """The bytes of a compressed IDX file behind its header, flat."""
    with gzip.open(file) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=offset)
