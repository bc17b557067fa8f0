"""An epoch as one compiled program, kept and used again.

`fit` spends most of a small training in Python: one call a batch, one trace a model. Here an epoch is one call of a
program that loops over the batches itself and calls the model's own `train_step`, so that all of `compile` holds. A
program belongs to the model that it was traced with; a later trial whose model is the same but for its weights, its
learning rate and a few constants borrows that model (`reuse`), so that nothing is traced again.

* `loop` runs the epochs and fires the callbacks as `fit` does; it knows no backend.
* `tensorflow_program` and `jax_program` are the epoch; they know no callbacks.
* `suitability` says why a training must go through `fit` after all.
* `python_state` says what a model holds beside its variables; `constants` turns numbers of a model into variables of
  its program.
* `reuse` says which models may share a program, and keeps models with their programs, within bounds.
"""
