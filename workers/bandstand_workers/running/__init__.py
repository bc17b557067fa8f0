"""Running studies in this process, for `bandstand run` or as a job on the Ray cluster."""
