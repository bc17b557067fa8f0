"""What trains here: versions of the parts, and the machine.

Knows how to ask for them without importing them.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["describe_environment"]

_PARTS = ("bandstand", "keras", "tensorflow", "jax", "ray", "optuna", "scikit-optimize", "numpy")


def describe_environment(resources: dict[str, float]) -> dict[str, str]:
    """Name -> version of the parts, and the cluster's size.

    Args:
        resources: of the Ray cluster, as `ray.cluster_resources` gives them.
    """
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for part in _PARTS:
        try:
            found[part] = version(part)
        except PackageNotFoundError:
            continue
    found["cpus"] = f"{resources.get('CPU', 0):g}"
    found["gpus"] = f"{resources.get('GPU', 0):g}"
    accelerators = [name.split(":")[1] for name in resources if name.startswith("accelerator_type:")]
    if accelerators:
        found["accelerator"] = ", ".join(accelerators)
    return found
