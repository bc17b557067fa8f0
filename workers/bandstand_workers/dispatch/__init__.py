"""The dispatcher: what stands between the queue in PostgreSQL and the Ray cluster.

A process of its own beside each server, `python -m bandstand_workers dispatch`. Again and again, and at once when the
queue changes, it says that it lives, takes over what vanished servers had, looks at each run that is its own and does
what is missing, then claims what waits. Nothing is kept in its memory that it could not learn again from the database
and from Ray, so that a restart is no event: a run's id is its job's id, and Ray refuses to start a job twice.

`dispatcher` decides what is missing, `cluster` speaks with Ray's job server, `job_logs` reads what jobs print,
`local_ray` starts a Ray where there is no cluster, `queue_watch` waits for the queue, `loop` takes one step after the
other until the `ending`, `command` ties them together.
"""
