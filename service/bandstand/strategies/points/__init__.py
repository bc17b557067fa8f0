"""Points of a space as numbers: fractions of a scale, places in a grid, and which points were proposed already."""
