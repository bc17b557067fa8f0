"""Memory of a trainer's process: what it may take, and what is told of a training that wanted more. Knows no Ray."""
