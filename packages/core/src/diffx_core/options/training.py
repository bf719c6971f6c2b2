"""How long and how fast the network learns, and what is kept of it."""

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, lt, optional


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
        workers: processes that read data ahead; by default one for each processor, up to 8, if the
            data are streamed. Data in memory need none and get none.
    """

    steps: int = field(default=2000, validator=ge(1))
    batch_size: int = field(default=128, validator=ge(1))
    lr: float = field(default=2e-3, validator=gt(0))
    warmup: int = field(default=100, validator=ge(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    grad_clip: float = field(default=1.0, validator=gt(0))
    log_every: int = field(default=10, validator=ge(1))
    workers: int | None = field(default=None, validator=optional(and_(ge(0), le(256))))


@frozen(kw_only=True)
class EmaOptions:
    """The moving average of the weights, which is what samples are drawn from.

    Args:
        decay: share of the average that a step keeps, once it has warmed up.
    """

    decay: float = field(default=0.999, validator=and_(ge(0), lt(1)))
