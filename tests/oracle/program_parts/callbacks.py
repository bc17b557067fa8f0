"""The callbacks of a random program, as text.

Knows Keras's callbacks. Must not know models.
"""

from __future__ import annotations

from tests.oracle.program_parts.draw import Draw

__all__ = ["draw_callbacks"]

_KINDS = (
    "ReduceLROnPlateau", "EarlyStopping", "LearningRateScheduler", "TerminateOnNaN", "SwapEMAWeights", "LambdaCallback",
    "attribute at the beginning", "attribute midway", "own with state", "own with NumPy draws", "frozen midway",
    "own rate", "own on batches", "own global", "own end",
)  # fmt: skip


def _callback(draw: Draw, kind: str) -> str:
    when = draw.knob("when", 0, 1, 2)
    if kind.startswith("attribute"):
        draw.need("Scale")
    if kind == "own global":
        draw.need("TABLE")
    return {
        "ReduceLROnPlateau": lambda: (
            "keras.callbacks.ReduceLROnPlateau(monitor='val_loss', "
            f"factor={draw.knob('factor', 0.5, 0.2)}, patience=1, min_delta={draw.knob('min_delta', 0.0, 0.5)})"
        ),
        "EarlyStopping": lambda: (
            f"keras.callbacks.EarlyStopping(monitor='val_loss', patience=1, "
            f"min_delta={draw.knob('min_delta', 0.0, 0.02, 1.0)}, "
            f"restore_best_weights={draw.knob('restore', True, False)})"
        ),
        "LearningRateScheduler": lambda: (
            f"keras.callbacks.LearningRateScheduler(lambda epoch, rate, k={draw.knob('decay', 0.7, 0.4)}: rate * k)"
        ),
        "TerminateOnNaN": lambda: "keras.callbacks.TerminateOnNaN()",
        "SwapEMAWeights": lambda: f"keras.callbacks.SwapEMAWeights(swap_on_epoch={draw.knob('swap', True, False)})",
        "LambdaCallback": lambda: "keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None)",
        "attribute at the beginning": lambda: f"{draw.need('AtBegin')}({draw.knob('set', 0.25, 0.75)})",
        "attribute midway": lambda: f"{draw.need('Midway')}({when}, {draw.knob('set', 0.25, 0.75)})",
        "own with state": lambda: f"{draw.need('Shrink')}({draw.knob('pace', 0.05, 0.2)})",
        "own with NumPy draws": lambda: f"{draw.need('Shake')}({draw.knob('size', 0.05, 0.1)})",
        "frozen midway": lambda: f"{draw.need('Freeze')}({when})",
        "own rate": lambda: f"{draw.need('Slower')}({draw.knob('factor', 0.5, 0.8)})",
        "own end": lambda: f"{draw.need('Ends')}({when})",
        "own on batches": lambda: f"{draw.need('Batches')}()",
        "own global": lambda: f"{draw.need('ReadsGlobal')}()",
    }[kind]()


def draw_callbacks(draw: Draw, *, averages: bool, schedule: bool) -> list[str]:
    """What `callbacks` makes, in most programs nothing.

    Args:
        draw: the program's.
        averages: whether the optimizer keeps averages of weights.
        schedule: whether its rate follows a schedule, so that no callback may set it.
    """
    chosen = draw.some_of(_KINDS, 1, 2) if draw.happens(0.55) else []
    if averages and draw.happens(0.6):
        chosen = [*chosen, "SwapEMAWeights"]
    rates = ("ReduceLROnPlateau", "LearningRateScheduler", "own rate")
    kinds = [
        kind
        for kind in dict.fromkeys(chosen)
        if (averages or kind != "SwapEMAWeights") and not (schedule and kind in rates)
    ]
    for kind in kinds:
        draw.note(f"callback: {kind}")
    return [_callback(draw, kind) for kind in kinds]
