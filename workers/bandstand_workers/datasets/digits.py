"""The 8x8 digits of scikit-learn: 1,797 images, installed with it, so that nothing is downloaded."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from bandstand_workers.datasets.splits import Splits

_SEED = 0
_PART = 270  # 15 % of the 1,797 images.


def load() -> Splits:
    """1,257, 270 and 270 images as float32 [n, 64] from 0 to 1, with labels int32 [n] from 0 to 9.

    Shuffled by a fixed seed, every digit with its share in each part. Divided by 16, the range of a pixel.
    """
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32), y.astype(np.int32)
    x, x_test, y, y_test = train_test_split(x, y, test_size=_PART, stratify=y, random_state=_SEED)
    x, x_validation, y, y_validation = train_test_split(x, y, test_size=_PART, stratify=y, random_state=_SEED)
    return {"train": (x, y), "validation": (x_validation, y_validation), "test": (x_test, y_test)}
