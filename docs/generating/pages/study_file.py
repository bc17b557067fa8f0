"""Every setting of a study file, from the models that check it."""

from __future__ import annotations

from bandstand.problem.budget import Budget
from bandstand.problem.objective import Objective
from bandstand.study.study_spec import Resources, StudySpec
from bandstand_spaces import SEARCH_SPACES
from docs.generating.markdown import code, page, table
from docs.generating.settings import settings_table

__all__ = ["PARAMETERS", "make"]

_TYPES = {
    "model": "`module:function`",
    "data": "`module:function`",
    "callbacks": "list of `module:function`",
    "space": "table of parameters, or the name of a space",
    "objective": "text or table",
    "budget": "table",
    "resources": "table",
    "class_weight": '`"balanced"`, or table of a number for each class',
}
PARAMETERS = {
    "float": (
        ("low", "number", "must be given", "Smallest value. It must be above 0 if `log` is true."),
        ("high", "number", "must be given", "Largest value."),
        ("log", "`true` or `false`", "`false`", "Whether to search evenly on a logarithmic scale."),
        (
            "step",
            "number > 0",
            "",
            "Distance between neighbouring values. Not together with `log`. Default: no step, any value is possible.",
        ),
    ),
    "int": (
        ("low", "whole number", "must be given", "Smallest value. It must be above 0 if `log` is true."),
        ("high", "whole number", "must be given", "Largest value."),
        (
            "log",
            "`true` or `false`",
            "`false`",
            "Whether to search evenly on a logarithmic scale. Not together with `step`.",
        ),
        ("step", "whole number ≥ 1", "`1`", "Distance between neighbouring values."),
    ),
    "categorical": (
        ("choices", "list", "must be given", "The values: texts, numbers, `true` or `false`."),
        (
            "when",
            "table",
            "",
            "For each choice, the parameters that exist only with this choice. They may have a `when` of their own.",
        ),
    ),
}
"""The settings of each type of parameter, in the order of `bandstand_spaces.serialization`."""

_EXAMPLE = """```toml
# study.toml
name = "digits"
model = "train:build"
data = "train:load"
max_epochs = 27

[objective]
metric = "val_accuracy"
direction = "maximize"

[budget]
epochs = 500

[space]
units = { type = "int", low = 16, high = 256, step = 16 }
learning_rate = { type = "float", low = 1e-4, high = 1e-1, log = true }

[space.optimizer]
type = "categorical"
choices = ["sgd", "adam"]

[space.optimizer.when.sgd]
momentum = { type = "float", low = 0.0, high = 0.99 }
```"""


def make() -> str:
    """The page."""
    return page(
        "Study file",
        "A study file is a TOML file. In Python, the same settings are the arguments of "
        "[`bandstand.StudySpec`](python.md#studyspec).",
        _EXAMPLE,
        "An unknown setting is an error, which names the nearest known setting.",
        "## Settings",
        settings_table(StudySpec, types=_TYPES),
        "## `[objective]`",
        'A text is short for a table with this metric: `objective = "val_accuracy"`.',
        settings_table(Objective, left_out=("told_by_name",), defaults={"direction": ""}),
        "## `[budget]`",
        "At least one limit must be given, unless the sampler is `grid`. The study ends when the first limit is "
        "reached.",
        settings_table(Budget),
        "## `[resources]`",
        settings_table(Resources),
        "## `[space]`",
        "Each key is a parameter's name, each value a table with its `type` and the settings of this type. The name "
        "of a "
        f"space that comes with Bandstand may stand instead of the table: {', '.join(map(code, SEARCH_SPACES))}.",
        *(_parameter(kind) for kind in PARAMETERS),
        "## `[sampler_options]` and `[pruner_options]`",
        "The options depend on the sampler and the pruner: see [Strategies](strategies.md).",
    )


def _parameter(kind: str) -> str:
    rows = ((code(name), meaning, form, default) for name, form, default, meaning in PARAMETERS[kind])
    return f"### Type `{kind}`\n\n{table(('setting', 'meaning', 'type', 'default'), rows)}"
