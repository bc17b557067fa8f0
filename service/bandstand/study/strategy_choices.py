"""The strategies that are compared, as a user writes them.

Knows how a strategy is named and put into a study. Must not know what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bandstand.errors import InputError
from bandstand.problem.broken_rules import did_you_mean
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.study.study_spec import StudySpec, study_spec_from

__all__ = ["WITHOUT", "StrategyChoice", "strategies_from", "strategy_of", "with_and_without_avoiding"]


WITHOUT = " (avoid_failures = false)"
"""After the label of a strategy that does not learn from failures."""


@dataclass(frozen=True, kw_only=True)
class StrategyChoice:
    """A sampler and a pruner, or a whole strategy, which has none.

    Options left out are the study's where it has the same sampler or pruner, else the defaults.
    """

    label: str
    sampler: str
    pruner: str
    sampler_options: dict[str, Any] = field(default_factory=dict)
    pruner_options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """Other settings of the study that go with it."""

    def apply(self, spec: StudySpec, **changes: Any) -> StudySpec:
        """The study with this strategy and these changes of other settings.

        Raises:
            InputError: the strategy cannot work on this study.
        """
        mine: dict[str, Any] = {"sampler": self.sampler, "pruner": self.pruner}
        for kind, name, options in (
            ("sampler", self.sampler, self.sampler_options),
            ("pruner", self.pruner, self.pruner_options),
        ):
            kept = getattr(spec, f"{kind}_options") if getattr(spec, kind) == name else {}
            mine[f"{kind}_options"] = {**kept, **options}
        return study_spec_from(spec.model_dump() | mine | self.settings | changes, self.label)


def strategy_of(spec: StudySpec) -> StrategyChoice:
    """The study's own strategy."""
    return StrategyChoice(label=f"{spec.sampler}+{spec.pruner}".strip("+"), sampler=spec.sampler, pruner=spec.pruner)


def with_and_without_avoiding(choice: StrategyChoice) -> tuple[StrategyChoice, StrategyChoice]:
    """A strategy that learns from failures, and the same that does not."""
    return (
        replace(choice, settings={"avoid_failures": True}),
        replace(choice, label=f"{choice.label}{WITHOUT}", settings={"avoid_failures": False}),
    )


def strategies_from(texts: Sequence[str]) -> list[StrategyChoice]:
    """The strategies in `texts`, each a list with commas.

    A strategy is SAMPLER+PRUNER, a SAMPLER, which trains every trial for all its epochs, a PRUNER, which has random
    sampling, or one word for a whole strategy, such as `pbt`; options follow a part after colons:
    `tpe+asha:min_epochs=1`.

    Raises:
        InputError: a name or an option cannot be read.
    """
    choices: list[StrategyChoice] = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        sampler, plus, pruner = part.partition("+")
        if not plus and sampler.partition(":")[0] in PRUNERS:
            sampler, plus, pruner = "random", "+", sampler
        sampler_name, sampler_options = _options_in(part, sampler)
        pruner_name, pruner_options = _options_in(part, pruner) if plus else ("none", {})
        if sampler_name in STRATEGIES:
            pruner_name = pruner_name if plus else ""  # the study itself refuses one, and says why
        else:
            _check_names(part, sampler_name, pruner_name, alone=not plus)
        if part in (choice.label for choice in choices):
            raise InputError(f"strategies must differ; got {part!r} twice: leave out one of them")
        choices.append(
            StrategyChoice(
                label=part, sampler=sampler_name, pruner=pruner_name,
                sampler_options=sampler_options, pruner_options=pruner_options,
            )
        )  # fmt: skip
    return choices


def _check_names(strategy: str, sampler: str, pruner: str, *, alone: bool) -> None:
    """Refuse a strategy of unknown names; `alone`: only one was written."""
    if sampler in SAMPLERS and pruner in PRUNERS:
        return
    if sampler in SAMPLERS:
        rule = f"the pruner of a strategy must be one of {', '.join(PRUNERS)}"
        meant = did_you_mean(pruner, PRUNERS)
    elif alone:
        rule = (
            f"a strategy must be SAMPLER+PRUNER, a sampler ({', '.join(SAMPLERS)}), a pruner ({', '.join(PRUNERS)}) or "
            f"one of {', '.join(STRATEGIES)}"
        )
        meant = did_you_mean(sampler, [*SAMPLERS, *PRUNERS, *STRATEGIES])
    else:
        rule = f"the sampler of a strategy must be one of {', '.join(SAMPLERS)}"
        meant = did_you_mean(sampler, SAMPLERS)
    raise InputError(f"{rule}; got {strategy!r}{meant}")


def _options_in(strategy: str, text: str) -> tuple[str, dict[str, Any]]:
    name, *settings = text.split(":")
    options = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals or not value:
            raise InputError(
                f"an option must be written NAME=VALUE after a colon, such as tpe:startup_trials=5; got {setting!r} "
                f"in {strategy!r}"
            )
        options[key] = value
    return name, options
