"""Starting the processes that train, and following a local run."""
