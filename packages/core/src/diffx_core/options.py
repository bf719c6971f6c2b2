"""The options of a run that belong to no component.

Kept apart from what uses them, so that help needs no torch.
"""

from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, lt

PredictionName = Literal["eps", "x0", "v", "flow", "score", "edm"]


@frozen(kw_only=True)
class ObjectiveOptions:
    """What the network learns to say.

    Args:
        prediction: what the network's output means; edm is well conditioned for every process.
        label_dropout: share of labels that are hidden in training, so that guidance works.
    """

    prediction: PredictionName = "edm"
    label_dropout: float = field(default=0.1, validator=and_(ge(0), lt(1)))


@frozen(kw_only=True)
class TrainOptions:
    """How long and how fast the network learns.

    Args:
        steps: optimizer steps.
        batch_size: examples in one step.
        lr: learning rate of AdamW after warm-up.
        warmup: steps over which the learning rate grows from zero.
        weight_decay: decoupled weight decay of AdamW.
        grad_clip: largest gradient norm; longer gradients are scaled down to it.
        log_every: steps between two lines of metrics.jsonl.
    """

    steps: int = field(default=2000, validator=ge(1))
    batch_size: int = field(default=128, validator=ge(1))
    lr: float = field(default=2e-3, validator=gt(0))
    warmup: int = field(default=100, validator=ge(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    grad_clip: float = field(default=1.0, validator=gt(0))
    log_every: int = field(default=10, validator=ge(1))


@frozen(kw_only=True)
class EmaOptions:
    """The moving average of the weights, which is what samples are drawn from.

    Args:
        decay: share of the average that a step keeps, once it has warmed up.
    """

    decay: float = field(default=0.999, validator=and_(ge(0), lt(1)))


@frozen(kw_only=True)
class GuidanceOptions:
    """How hard samples are pushed towards their condition.

    Args:
        scale: 1 samples the conditional model, 0 the unconditional one, more than 1 exaggerates the
            condition.
    """

    scale: float = field(default=1.0, validator=and_(ge(0), le(100)))
