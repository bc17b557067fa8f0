"""A trial's model: where it comes from, what its state is, and where it is saved."""
