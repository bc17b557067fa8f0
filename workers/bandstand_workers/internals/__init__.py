"""What the workers touch of Keras, TensorFlow and Ray that is not public, a file a library.

Knows these private parts, and what each stands for. Must not know what they are used for: nothing of ours is imported
here. Nobody else touches a private part of these libraries; `tests/internals/` holds that, has a canary for each part,
and `docs/explanation/internals.md` lists them.
"""

__all__: list[str] = []
