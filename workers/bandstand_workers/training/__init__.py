"""One trial in a process: data, model, callbacks, checkpoints."""
