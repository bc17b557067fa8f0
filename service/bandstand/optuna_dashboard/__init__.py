"""Optuna Dashboard on Optuna's own tables, which the store keeps in step with ours."""
