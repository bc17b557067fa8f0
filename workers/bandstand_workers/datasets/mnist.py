"""MNIST: 70,000 handwritten digits (LeCun, Cortes and Burges)."""

import numpy as np

from bandstand_workers.datasets.local_files import find_local
from bandstand_workers.datasets.splits import Splits, splits_from_images


def load() -> Splits:
    """50,000, 10,000 and 10,000 images float32 [n, 28, 28, 1] from 0 to 1, with labels int32 [n] from 0 to 9.

    The validation part is the last 10,000 training images, the test part the original one.
    """
    files = find_local("mnist/mnist.npz")
    if files is None:
        import keras

        return splits_from_images(*keras.datasets.mnist.load_data())
    # Read here, not through Keras, which deletes an archive in its own folder whose hash is not the one it knows.
    with np.load(files[0], allow_pickle=False) as arrays:
        return splits_from_images(
            (arrays["x_train"], arrays["y_train"]),
            (arrays["x_test"], arrays["y_test"]),
        )
