"""What a metric may look like besides a usual one."""

from math import inf, nan

__all__ = ["ODD_VALUES"]


def _is_unlucky(value):
    """Of one value in nine."""
    return int(1e6 * value) % 9 == 0


ODD_VALUES = {
    "constant": lambda value: 0.5,
    "tied": round,
    "NaN": lambda value: nan if _is_unlucky(value) else value,
    "infinite": lambda value: (inf if value > 1 else -inf) if _is_unlucky(value) else value,
    "large": lambda value: 1.7e308 * (value - 1),  # their differences are infinite
    "small": lambda value: 5e-324 * round(9 * value),
}
"""What becomes of a usual value between 0 and 2."""
