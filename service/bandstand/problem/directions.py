"""Which way a metric is better, as far as its name tells.

Knows the names that metrics and losses have. Must not know a study, nor Keras's objects.

A wrong guess turns a study around, so a name tells only where it is certain: `val_accuracy` does, `accuracy_loss` (the
loss of an output called accuracy? accuracy that was lost?) and `my_score` do not.
"""

from __future__ import annotations

import difflib
import re
from typing import Literal

__all__ = ["Direction", "better_words", "direction_from_name", "near_metric"]

Direction = Literal["minimize", "maximize"]

_DOWN = frozenset({
    "loss", "losses", "error", "errors", "mse", "mae", "mape", "msle", "rmse", "rmsle", "logloss",
    "logcosh", "crossentropy", "bce", "cce", "nll", "hinge", "poisson", "huber", "perplexity", "wer",
    "misclassification", "kldivergence",
})  # fmt: skip
_UP = frozenset({
    "accuracy", "acc", "auc", "auroc", "auprc", "precision", "recall", "fbeta", "r2", "iou", "miou",
    "dicecoefficient", "sensitivity", "specificity", "ndcg", "psnr", "ssim", "bleu", "matthews", "mcc",
})  # fmt: skip
_TOGETHER = {
    "cross entropy": "crossentropy",
    "log cosh": "logcosh",
    "kl divergence": "kldivergence",
    "leibler divergence": "kldivergence",
    "io u": "iou",
    "r squared": "r2",
    "f beta": "fbeta",
    "dice coefficient": "dicecoefficient",
    "dice coef": "dicecoefficient",
    "dice score": "dicecoefficient",
}
"""Words that are one name when they follow each other. `dice` alone is none: Keras's loss of that name falls."""
_TURNED = frozenset({
    "neg", "negative", "minus", "inverse", "inverted", "inv", "reciprocal", "one", "no", "non", "not",
    "without", "free", "less", "anti", "of", "to", "per", "drop", "gap", "change", "delta", "difference",
    "diff", "reduction", "improvement", "gain", "std", "stddev", "variance", "var", "deviation", "ratio",
    "lost", "forgotten", "forgetting", "missed", "wrong", "bad", "false", "invalid", "explained", "avoided", "detected",
    "caught", "corrected", "attack", "attacker", "adversary", "adversarial", "discriminator", "critic", "domain",
    "leakage", "until", "before", "till", "signed", "bias", "un", "dis", "in", "excess", "regret", "spread", "random",
    "chance", "baseline",
})  # fmt: skip
"""With one of these, a name may mean the opposite of its other words, or something else."""
_AFTER = frozenset({
    "score", "rate", "value", "metric", "at", "k", "top", "pr", "roc", "curve", "macro", "micro",
    "weighted", "mean", "avg", "average", "total", "coefficient", "index",
})  # fmt: skip
"""Words that may follow the one that tells; any other one there makes it something else, as in `loss_scale`."""
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def direction_from_name(metric: str) -> Direction | None:
    """Which way a metric of this name is better; None where the name does not tell for certain.

    Args:
        metric: as in Keras's epoch logs: `val_` before it, the output's name and `_1` at its end change nothing.
    """
    if re.search(r"^\s*(val_)?[-/]|[\d.]\s*[-/]|/|\s-", metric):
        return None  # `1 - accuracy`, `-mse`, `1/mse`: a formula
    words = _words_of(metric)
    down, up = (any(word in known for word in words) for known in (_DOWN, _UP))
    if down == up or not _TURNED.isdisjoint(words):
        return None
    last = max(place for place, word in enumerate(words) if word in _DOWN | _UP)
    after = words[last + 1 :]
    if not all(word in _AFTER or word.isdigit() for word in after) or (down and "score" in after):
        return None  # a score is better where it is higher, so the score of an error is turned round
    if "percentage" in words and "absolute" not in words:
        return None  # best at zero
    return "minimize" if down else "maximize"


def near_metric(metric: str) -> str | None:
    """A metric that a misspelt name may mean, such as `val_accuracy` for `val_acuracy`; None where none is near."""
    before, name = ("val_", metric[4:]) if metric.lower().startswith("val_") else ("", metric)
    known = sorted(_UP | _DOWN)
    swapped = [each for each in known if sorted(each) == sorted(name.lower())]  # mea for mae: too short for the other
    near = difflib.get_close_matches(name.lower(), known, 1, 0.8) or swapped
    return before + near[0] if near and near[0] != name.lower() else None


def better_words(direction: Direction) -> str:
    """For people: `lower is better`, or `higher is better`."""
    return "lower is better" if direction == "minimize" else "higher is better"


def _words_of(metric: str) -> list[str]:
    """The words of a name in snake or camel case, in small letters; what is one name is one word."""
    if not re.fullmatch(r"[\w .:/@-]*", metric, re.ASCII):
        return []
    text = " ".join(_plain(word.lower()) for word in _WORD.findall(metric))
    for parts, one in _TOGETHER.items():
        text = re.sub(rf"\b{parts}\b", one, text)
    words = text.split()
    return words[1:] if words[:1] == ["val"] else words


def _plain(word: str) -> str:
    """A word without the number at its end, where that is no part of a name: `auc2`, `top5`, but `r2`."""
    if word in ("f1", "f2", "f05"):
        return "fbeta"
    base = word.rstrip("0123456789")
    return word if word in _UP | _DOWN or not base else base
