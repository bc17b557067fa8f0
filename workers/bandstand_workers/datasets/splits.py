"""The form of a data set, and how pairs of images and labels are brought into it."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
Splits: TypeAlias = dict[str, Arrays]

_VALIDATION_IMAGES = 10_000


def splits_from_images(train: Arrays, test: Arrays) -> Splits:
    """Splits of (images uint8 [n, 28, 28], labels [n]) pairs.

    The last 10,000 training images become the validation part. Images come out as float32 [n, 28, 28, 1] from 0 to 1:
    divided by 255, the range of a pixel, so that no image says anything about another's scale. Labels come out as
    int32 [n].
    """
    images, labels = train
    parts = {
        "train": (images[:-_VALIDATION_IMAGES], labels[:-_VALIDATION_IMAGES]),
        "validation": (images[-_VALIDATION_IMAGES:], labels[-_VALIDATION_IMAGES:]),
        "test": test,
    }
    return {
        part: (x[..., np.newaxis].astype(np.float32) / np.float32(255), y.astype(np.int32))
        for part, (x, y) in parts.items()
    }
