"""Learning curves for virtual workers: what a source is (`curves`), the registry (`sources`), a file for each."""
