"""What samplers learn from trials that were: the best one, the best few, all in order, or an Optuna study of them."""
