"""A user's functions where they train: found, called with what they ask for, and their errors told."""

from bandstand_workers.training.user_code.loading import load_function, way_from_missing_file

__all__ = ["load_function", "way_from_missing_file"]
