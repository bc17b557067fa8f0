"""What samplers learn from trials that failed: where the next ones would fail, too."""
