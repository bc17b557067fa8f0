"""What a user's module may define besides its functions: classes, closures and globals, as text."""

from __future__ import annotations

__all__ = ["DEFINITIONS"]

DEFINITIONS = {
    "FACTOR": """
FACTOR = [1.0]
""",
    "TABLE": """
TABLE = {}
""",
    "scaled_relu": """
def scaled_relu(slope):
    def activation(x):
        return keras.ops.relu(x) + slope * x
    return activation
""",
    "Scale": """
class Scale(keras.layers.Layer):
    # A Python number of its own, which no configuration names.
    shift = 0.0

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor + self.shift
""",
    "Told": """
@keras.saving.register_keras_serializable("oracle")
class Told(keras.layers.Layer):
    # Describes itself.
    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
""",
    "Project": """
class Project(keras.layers.Layer):
    # Random numbers of the builder's that are no variable.
    def __init__(self, width=4, **options):
        super().__init__(**options)
        self.width = width

    def build(self, shape):
        self.matrix = np.random.normal(0, 0.5, (shape[-1], self.width)).astype("float32")

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.cast(self.matrix, x.dtype))

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.width)
""",
    "FromGlobal": """
class FromGlobal(keras.layers.Layer):
    def call(self, x):
        return x * FACTOR[0]
""",
    "Penalty": """
class Penalty(keras.layers.Layer):
    def __init__(self, strength, **options):
        super().__init__(**options)
        self.strength = strength

    def call(self, x):
        self.add_loss(self.strength * keras.ops.mean(keras.ops.square(keras.ops.cast(x, "float32"))))
        return x
""",
    "Counting": """
class Counting(keras.layers.Layer):
    # State of its own that a step moves.
    def __init__(self, pace=0.1, **options):
        super().__init__(**options)
        self.pace = pace

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x, training=False):
        if training:
            self.seen.assign(self.seen + self.pace)
        return x * keras.ops.cast(1 + keras.ops.tanh(self.seen), x.dtype)
""",
    "Noise": """
class Noise(keras.layers.Layer):
    def __init__(self, size=0.1, **options):
        super().__init__(**options)
        self.size = size
        self.draws = keras.random.SeedGenerator(seed=7)

    def call(self, x, training=False):
        if not training:
            return x
        return x + keras.random.normal(keras.ops.shape(x), stddev=self.size, dtype=x.dtype, seed=self.draws)
""",
    "Aside": """
class Aside(keras.layers.Layer):
    # A variable of the layer's that Keras does not know of: it lies within a plain object.
    class Box:
        pass

    def __init__(self, start=1.0, **options):
        super().__init__(**options)
        self.box = Aside.Box()
        self.box.scale = keras.Variable(start, trainable=False)

    def call(self, x):
        return x * keras.ops.cast(self.box.scale, x.dtype)
""",
    "Drift": """
class Drift(keras.layers.Layer):
    # State that Keras does not know of, and that each step moves.
    def __init__(self, pace=0.1, **options):
        super().__init__(**options)
        self.pace, self.box = pace, Drift.Box()
        self.box.state = tf.Variable(1.0, trainable=False)

    class Box:
        pass

    def call(self, x, training=False):
        if training:
            self.box.state.assign_add(self.pace)
        return x * tf.cast(self.box.state, x.dtype)
""",
    "SelfAttention": """
class SelfAttention(keras.layers.Layer):
    def __init__(self, rate=0.0, **options):
        super().__init__(**options)
        self.attention = keras.layers.MultiHeadAttention(2, 2, dropout=rate)

    def call(self, x):
        return self.attention(x, x)
""",
    "Join": """
class Join(keras.layers.Layer):
    def call(self, x):
        return keras.ops.concatenate(keras.tree.flatten(x), axis=-1)
""",
    "OwnL2": """
class OwnL2(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return self.strength * keras.ops.sum(keras.ops.square(x))
""",
    "Clip": """
class Clip(keras.constraints.Constraint):
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, w):
        return keras.ops.clip(w, -self.limit, self.limit)
""",
    "OwnRate": """
class OwnRate(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (1.0 + 0.1 * keras.ops.cast(step, "float32"))

    def get_config(self):
        return {}
""",
    "Plain": """
class Plain(keras.optimizers.Optimizer):
    # An optimizer of the user's own with a Python number in it.
    def __init__(self, rate, damping, **options):
        super().__init__(learning_rate=rate, **options)
        self.damping = damping

    def update_step(self, gradient, variable, learning_rate):
        step = keras.ops.cast(learning_rate, variable.dtype) * keras.ops.cast(gradient, variable.dtype)
        self.assign_sub(variable, self.damping * step)
""",
    "Weighted": """
class Weighted(keras.losses.Loss):
    def __init__(self, share, **options):
        super().__init__(**options)
        self.share = share

    def call(self, y, y_pred):
        y = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), y_pred.dtype)
        first = y_pred[..., :1]
        return keras.ops.mean(self.share * keras.ops.square(y - first) + keras.ops.abs(y - first), axis=-1)
""",
    "Fading": """
class Fading(keras.losses.Loss):
    # A loss with state.
    def __init__(self, pace, **options):
        super().__init__(**options)
        self.pace, self.scale = pace, tf.Variable(1.0, trainable=False)

    def call(self, y, y_pred):
        y = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), y_pred.dtype)
        self.scale.assign(self.scale * self.pace)
        return keras.ops.mean(keras.ops.square(y - y_pred[..., :1]), axis=-1) * tf.cast(self.scale, y_pred.dtype)
""",
    "stretched": """
def stretched(share):
    def stretched_error(y, y_pred):
        y = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), y_pred.dtype)
        return keras.ops.mean(keras.ops.square(y - y_pred[..., :1]), axis=-1) * share
    return stretched_error
""",
    "tilted": """
def tilted(y, y_pred, share=0.5):
    y = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), y_pred.dtype)
    gap = y - y_pred[..., :1]
    return keras.ops.mean(keras.ops.maximum(share * gap, (share - 1) * gap), axis=-1)
""",
    "Mean": """
class Mean(keras.metrics.Metric):
    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, y, y_pred, sample_weight=None):
        self.total.assign(self.total + self.factor * keras.ops.cast(keras.ops.mean(y_pred), "float32"))

    def result(self):
        return self.total + 0.0
""",
    "Largest": """
class Largest(keras.metrics.Metric):
    # Remembers beyond an epoch.
    def __init__(self, **options):
        super().__init__(**options)
        self.top = self.add_variable((), "zeros", name="top")

    def update_state(self, y, y_pred, sample_weight=None):
        self.top.assign(keras.ops.maximum(self.top, keras.ops.cast(keras.ops.max(keras.ops.abs(y_pred)), "float32")))

    def reset_state(self):
        pass

    def result(self):
        return self.top + 0.0
""",
    "off_by": """
def off_by(shift):
    def off(y, y_pred):
        return keras.ops.abs(y_pred[..., 0] - shift)
    return off
""",
    "Held": """
class Held(keras.Model):
    # A subclassed model that describes nothing.
    def __init__(self, front, blocks, heads, outputs):
        super().__init__()
        self.front, self.blocks, self.heads, self.make = front, blocks, heads, outputs

    def call(self, x, training=None):
        for layer in self.front:
            x = layer(x)
        for layer in self.blocks:
            x = layer(x)
        return self.make([head(x) for head in self.heads])
""",
    "Described": """
@keras.saving.register_keras_serializable("oracle")
class Described(keras.Model):
    # A subclassed model with a configuration that does not say all.
    def __init__(self, front=(), blocks=(), heads=(), outputs=None, **options):
        super().__init__(**options)
        self.front, self.blocks, self.heads, self.make = list(front), list(blocks), list(heads), outputs

    def call(self, x, training=None):
        for layer in [*self.front, *self.blocks]:
            x = layer(x)
        return self.make([head(x) for head in self.heads])

    def get_config(self):
        return {"name": self.name}
""",
    "OwnLoss": """
class OwnLoss(keras.Model):
    # Adds to the loss by a number that the builder sets afterwards.
    strength = 0.0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        extra = sum(keras.ops.mean(keras.ops.square(part)) for part in keras.tree.flatten(y_pred))
        return loss + self.strength * keras.ops.cast(extra, loss.dtype)
""",
    "OwnStep": """
class OwnStep(keras.Model):
    # A train step that wraps Keras's and logs more.
    extra = 1.0

    def train_step(self, *arguments):
        result = super().train_step(*arguments)
        more = {"extra": keras.ops.convert_to_tensor(self.extra, "float32") * 2}
        return result | more if isinstance(result, dict) else (result[0] | more, result[1])
""",
    "OwnTape": """
class OwnTape(keras.Model):
    strength = 1.0

    def train_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        gradients = [None if g is None else tf.convert_to_tensor(g) * self.strength for g in gradients]
        self.optimizer.apply_gradients(
            [pair for pair in zip(gradients, self.trainable_variables) if pair[0] is not None]
        )
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(x, y, y_pred, weight)
""",
    "Two": """
class Two(keras.Model):
    # Two optimizers, each for its part.
    def compile(self, *arguments, other=None, **options):
        super().compile(*arguments, **options)
        self.other = other

    def train_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        self.optimizer.apply_gradients(pairs[:1])
        self.other.apply_gradients(pairs[1:])
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(x, y, y_pred, weight)
""",
    "OwnMetrics": """
class OwnMetrics(keras.Model):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.spread = keras.metrics.Mean(name="spread")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.spread.update_state(keras.ops.std(keras.tree.flatten(y_pred)[0]))
        return super().compute_metrics(x, y, y_pred, sample_weight) | {"spread": self.spread.result()}
""",
    "AtBegin": """
class AtBegin(keras.callbacks.Callback):
    # Sets a Python number of a layer when training begins.
    def __init__(self, value):
        super().__init__()
        self.value = value

    def on_train_begin(self, logs=None):
        for layer in self.model.layers:
            if isinstance(layer, (Scale, keras.layers.Dropout)):
                setattr(layer, "factor" if isinstance(layer, Scale) else "rate", self.value)
""",
    "Midway": """
class Midway(keras.callbacks.Callback):
    # Changes a Python number of a layer in an epoch.
    def __init__(self, epoch, value):
        super().__init__()
        self.epoch, self.value = epoch, value

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            for layer in self.model.layers:
                if isinstance(layer, (Scale, keras.layers.Dropout)):
                    setattr(layer, "factor" if isinstance(layer, Scale) else "rate", self.value)
""",
    "Shrink": """
class Shrink(keras.callbacks.Callback):
    # Shrinks weights ever more: its own count is state.
    def __init__(self, pace):
        super().__init__()
        self.pace, self.count = pace, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.count += 1
        for variable in self.model.trainable_variables[:1]:
            variable.assign(variable * (1 - self.pace * self.count))
""",
    "Shake": """
class Shake(keras.callbacks.Callback):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.trainable_variables[:1]:
            value = keras.ops.convert_to_numpy(variable)
            variable.assign(value + np.random.normal(0, self.size, value.shape).astype(value.dtype))
""",
    "Freeze": """
class Freeze(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.layers[1].trainable = False
""",
    "Slower": """
class Slower(keras.callbacks.Callback):
    # Lowers the rate by what the epochs have shown.
    def __init__(self, factor):
        super().__init__()
        self.factor, self.losses = factor, []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["val_loss"])
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.model.optimizer.learning_rate = rate * (self.factor if len(self.losses) > 1 else 1.1)
""",
    "Ends": """
class Ends(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.stop_training = True
""",
    "Batches": """
class Batches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            variable = self.model.trainable_variables[0]
            variable.assign(variable * 0.9)
""",
    "ReadsGlobal": """
class ReadsGlobal(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        variable = self.model.trainable_variables[0]
        variable.assign(variable * TABLE["keep"])
""",
}
"""Name -> text. A definition may use another that the part which needs it needs as well."""
