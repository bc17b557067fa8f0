"""Programs that serve later trials: which models may share one, where they are kept, whether one does the same."""
