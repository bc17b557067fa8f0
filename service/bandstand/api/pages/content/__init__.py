"""What the pages show, read from the store: lists, a study as it stands, its chart, its forms' fields, the queue."""
