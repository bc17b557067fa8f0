"""The routes that answer with JSON, files or streams: a module for each kind of resource."""
