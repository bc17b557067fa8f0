"""California housing: 20,640 districts of the census of 1990 (Pace and Barry, 1997)."""

import numpy as np

from bandstand_workers.datasets.local_files import find_local
from bandstand_workers.datasets.splits import Arrays, Splits

# The split of keras.datasets.california_housing.load_data(), so that a local copy gives the same parts.
_SEED = 113
_TRAIN_SHARE = 0.8
_DOLLARS = np.float32(100_000)


def load() -> Splits:
    """12,384, 4,128 and 4,128 districts: features float32 [n, 8], median house value float32 [n, 1].

    The test part is that of `keras.datasets`; of its training part, which is shuffled, the last quarter is the
    validation part. Features are standardized by the mean and standard deviation of the training part. The target is
    the price in units of 100,000 dollars (0.15 to 5.0), not standardized: a root mean squared error of 0.5 is 50,000
    dollars.
    """
    (x, y), (x_test, y_test) = _load_arrays()
    size = len(x_test)
    mean, deviation = x[:-size].mean(axis=0, dtype=np.float64), x[:-size].std(axis=0, dtype=np.float64)
    parts = {"train": (x[:-size], y[:-size]), "validation": (x[-size:], y[-size:]), "test": (x_test, y_test)}
    return {
        part: (((x - mean) / deviation).astype(np.float32), (y.astype(np.float32) / _DOLLARS)[:, np.newaxis])
        for part, (x, y) in parts.items()
    }


def _load_arrays() -> tuple[Arrays, Arrays]:
    """(Features, dollars) to train and to test with, as `keras.datasets` splits them."""
    files = find_local("keras/datasets/california_housing.npz")
    if files is None:
        import keras

        loaded: tuple[Arrays, Arrays] = keras.datasets.california_housing.load_data()
        return loaded
    with np.load(files[0], allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["y"]
    order = np.arange(len(x))
    np.random.RandomState(_SEED).shuffle(order)
    train, test = np.split(order, [int(len(x) * _TRAIN_SHARE)])
    return (x[train], y[train]), (x[test], y[test])
