"""Database logins of jobs: each job of a server has one, which sees the rows of its submission and nothing else.

`rights` says what a login may do, and keeps the rows of Optuna's tables apart; `job_logins` makes and drops logins, and
finds out whether a server can have any; `elsewhere` looks for what they left in other databases; `lock_holders` frees
what they keep from others; `taking_up` is the job's side. Must not know how a login gets to its job.
"""
