"""The variables that Bandstand reads. Many modules read them, so the table stands here; a test holds it complete."""

from __future__ import annotations

from docs.generating.markdown import code, page, table

__all__ = ["FOR_USERS", "OURS", "make"]

FOR_USERS = {
    "BANDSTAND_HOME": (
        "Folder of the embedded database, checkpoints, logs, reports, and functions that no module holds.",
        "`$XDG_DATA_HOME/bandstand`, else `~/.local/share/bandstand`",
    ),
    "BANDSTAND_DATABASE_URL": (
        "A PostgreSQL server (13 or newer) to use. It is a secret.",
        "embedded PostgreSQL in `BANDSTAND_HOME`",
    ),
    "BANDSTAND_CHECKPOINTS": (
        "Where checkpoints, models and the files of trials are kept: a path, or an fsspec URL such as "
        "`s3://bucket/folder`.",
        "`checkpoints` in `BANDSTAND_HOME`",
    ),
    "BANDSTAND_CHECKPOINTS_GB": (
        "Gigabytes that all checkpoints and models may take together. A study pauses before it takes more.",
        "no limit",
    ),
    "BANDSTAND_KEEP_RAY_FILES": (
        "`1` keeps the files of a local Ray, its logs among them, when its run has ended. They are in "
        "`bandstand-ray-…` in the folder for temporary files.",
        "none; they are removed",
    ),
    "BANDSTAND_DATA": (
        "Folder with local copies of data sets and of recorded learning curves.",
        "none; Keras downloads",
    ),
    "BANDSTAND_LOG_FORMAT": (
        "`json` makes a job of a cluster, its coordinator, and the progress of `bandstand run` without a terminal one "
        "JSON object a line. Set it on the Ray head. `bandstand serve` has an option.",
        "`text`",
    ),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "A collector of OpenTelemetry to which servers, jobs and `bandstand run` send traces, such as "
        "`http://collector:4318`. It needs the extra `otel`; the other variables of OpenTelemetry hold, too.",
        "none; no traces",
    ),
    "TRACEPARENT": (
        "The trace to which a run belongs, as W3C writes it. A server sets it for its jobs.",
        "a new trace",
    ),
    "BANDSTAND_URL": ("The server that commands and `Client` ask.", "the server of `bandstand login`"),
    "BANDSTAND_TOKEN": ("The token for that server. It is a secret.", "the token of `bandstand login`"),
    "RAY_ADDRESS": (
        "A Ray cluster to train on. It needs `BANDSTAND_DATABASE_URL`. `local` stands for none.",
        "a local Ray",
    ),
    "RAY_API_SERVER_ADDRESS": (
        "For `bandstand serve`: the job server of the Ray cluster, such as `http://head:8265`. The head of the cluster "
        "must reach the database.",
        "a local Ray",
    ),
    "RAY_AUTH_MODE": ("`token` if the Ray cluster wants a token.", "Ray's own; a local Ray always has a token"),
    "RAY_AUTH_TOKEN": ("The token for the Ray cluster. It is a secret.", "none"),
    "RAY_AUTH_TOKEN_PATH": ("A file that holds the token for the Ray cluster.", "none"),
    "RAY_TMPDIR": (
        "The folder in which a local Ray gets a private folder. Its path must be short, because of Ray's sockets.",
        "the folder for temporary files, or `/tmp` if the path of that is too long",
    ),
    "KERAS_BACKEND": ("`tensorflow` or `jax`. `jax` needs the extra `jax`.", "`tensorflow`"),
    "BROWSER_PATH": ("Chromium or Chrome, which draws figures as PNG and SVG.", "the one on the path"),
    "XDG_CONFIG_HOME": ("Folder of settings. `bandstand login` keeps its server and token below it.", "`~/.config`"),
    "XDG_DATA_HOME": ("Folder of data. The default of `BANDSTAND_HOME` is below it.", "`~/.local/share`"),
}
"""Meaning and default of each variable that a user may set."""

OURS = {
    "BANDSTAND_JOB_LOGIN": "set for jobs of a server; the job changes its password",
    "BANDSTAND_WORKERS_LOG": "set for the process of workers, which bounds its log",
    "BANDSTAND_RUNS_USERS_CODE": "set in processes that run a study's code",
    "CUDA_ERROR_OUT_OF_MEMORY": "an error's name, and no variable",
    "CUDA_VISIBLE_DEVICES": "set by Ray, and for trainers without a GPU",
    "RAY_CHDIR_TO_TRIAL_DIR": "set for Ray Tune",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "set for a local Ray",
    "RAY_JOB_CONFIG_JSON_ENV_VAR": "set by Ray for jobs",
    "RAY_JOB_STOP_WAIT_TIME_S": "set for a server's local Ray",
    "RAY_ROTATION_BACKUP_COUNT": "set for a local Ray, unless it is set",
    "RAY_ROTATION_MAX_BYTES": "set for a local Ray, unless it is set",
    "RAY_RUNTIME_ENV_IGNORE_GITIGNORE": "set for jobs",
    "RAY_USAGE_STATS_ENABLED": "set for a local Ray",
    "TF_CPP_MIN_LOG_LEVEL": "set for trainers, unless it is set",
    "XDG_RUNTIME_DIR": "of the embedded PostgreSQL",
}
"""Variables that the code names and users need not know, with what they are."""


def make() -> str:
    """The page."""
    return page(
        "Environment",
        "Bandstand reads these environment variables. All of them are optional.",
        table(("variable", "meaning", "default"), ((code(name), *row) for name, row in FOR_USERS.items())),
        "A server is named by the option `--url`, by `BANDSTAND_URL` or by the login, in this order. Its token comes "
        "from "
        "`--token-file FILE` (`-` reads it from standard input), from `BANDSTAND_TOKEN` or from the login.",
    )
