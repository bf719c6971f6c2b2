"""How long and how fast the network learns, what is kept of it, and when it is looked at."""

from collections.abc import Iterator
from typing import Literal, get_args

from attrs import AttrsInstance, field, fields, frozen
from attrs.validators import and_, ge, gt, le, optional

from diffx_core.errors import ConfigError
from diffx_core.options.checks import one_of

OptimizerName = Literal["adamw", "adam", "sgd", "muon"]
RateName = Literal["constant", "cosine", "linear", "inverse_sqrt"]
PrecisionName = Literal["fp32", "bf16", "fp16"]

COUNT = ge(1)
SOME = optional(ge(1))
NO_EFFECT = "has no effect without every, which says how often"


def changed(options: AttrsInstance) -> Iterator[str]:
    """The names of the options that are not what they are if nobody says."""
    for one in fields(type(options)):
        if getattr(options, one.name) != one.default:
            yield one.name


@frozen(kw_only=True)
class TrainOptions:
    """How long and how fast the network learns.

    Args:
        steps: optimizer steps.
        batch_size: examples in one step, on all processes together.
        micro_batch: examples that a process sends through the network at once; by default all of
            its share of the batch. Less needs less memory and gives the same gradients.
        auto_micro_batch: find out before the first step how many fit into memory at once, from
            micro_batch down.
        optimizer: adamw, adam, sgd (Nesterov, momentum 0.9), or muon for matrices, with adamw for
            everything else.
        lr: learning rate after warm-up.
        lr_schedule: what follows warm-up: constant, cosine or linear to zero at the last step, or
            inverse_sqrt.
        warmup: steps over which the learning rate grows from zero.
        weight_decay: decoupled weight decay of all weights, also biases, gains and embeddings; with
            adam and sgd it is added to the gradient.
        grad_clip: largest gradient norm; longer gradients are scaled down to it.
        precision: in which the network computes: fp32, bf16, or fp16 with a scaled loss. Weights,
            their average and the loss are float32.
        shard: divide the weights, their gradients, average and optimizer among all processes, each
            of which otherwise holds all of them; the same losses, slower.
        compile: let torch.compile make the network faster; the first step takes long.
        channels_last: lay images out as accelerators like it for convolutions.
        hours: when to save and end, if all steps are not done by then; the same command goes on.
        log_every: steps between two lines of metrics.jsonl.
        workers: processes that read data ahead, for each process that trains; by default one for
            each processor, divided among those that train, up to 8, if the data are streamed. Data
            in memory need none and get none.
    """

    steps: int = field(default=2000, validator=COUNT)
    batch_size: int = field(default=128, validator=COUNT)
    micro_batch: int | None = field(default=None, validator=SOME)
    auto_micro_batch: bool = False
    optimizer: OptimizerName = field(default="adamw", validator=one_of(get_args(OptimizerName)))
    lr: float = field(default=2e-3, validator=gt(0))
    lr_schedule: RateName = field(default="constant", validator=one_of(get_args(RateName)))
    warmup: int = field(default=100, validator=ge(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    grad_clip: float = field(default=1.0, validator=gt(0))
    precision: PrecisionName = field(default="fp32", validator=one_of(get_args(PrecisionName)))
    shard: bool = False
    compile: bool = False
    channels_last: bool = False
    hours: float | None = field(default=None, validator=optional(gt(0)))
    log_every: int = field(default=10, validator=COUNT)
    workers: int | None = field(default=None, validator=optional(and_(ge(0), le(256))))

    def __attrs_post_init__(self) -> None:
        if self.micro_batch is not None and self.micro_batch > self.batch_size:
            raise ConfigError(
                f"micro_batch is {self.micro_batch}, more than batch_size, which is "
                f"{self.batch_size}"
            )
        against = [name for name, wanted in self._unsharded().items() if self.shard and wanted]
        if against:
            raise ConfigError(f"shard does not go with {against[0]}: leave one of them out")

    def _unsharded(self) -> dict[str, bool]:
        """What is not done where the network is divided, and whether it is wanted."""
        return {
            "optimizer muon": self.optimizer == "muon",
            "channels_last": self.channels_last,
            "auto_micro_batch": self.auto_micro_batch,
        }


@frozen(kw_only=True)
class SaveOptions:
    """When checkpoints are saved, and how many are kept.

    Args:
        every: steps between two checkpoints; the last step is always saved.
        keep: how many are kept, the newest ones; the best one is kept besides.
    """

    every: int = field(default=1000, validator=COUNT)
    keep: int = field(default=3, validator=COUNT)


@frozen(kw_only=True)
class ValidateOptions:
    """How the averaged weights are judged on examples that training never sees.

    Args:
        every: steps between two looks; never if none.
        examples: how many examples are kept from training.
        patience: looks without a better loss after which training ends; it never does if none.
        min_change: by how much less a loss has to be in order to be better.
    """

    every: int | None = field(default=None, validator=SOME)
    examples: int = field(default=256, validator=COUNT)
    patience: int | None = field(default=None, validator=SOME)
    min_change: float = field(default=0.0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        idle = [*changed(self)] if self.every is None else []
        if idle:
            raise ConfigError(f"{idle[0]} {NO_EFFECT}")


@frozen(kw_only=True)
class PreviewOptions:
    """Samples that are drawn during training, of the averaged weights and always the same noise.

    Args:
        every: steps between two grids; never if none.
        n: images in a grid.
        nfe: calls of the network for each image.
    """

    every: int | None = field(default=None, validator=SOME)
    n: int = field(default=36, validator=and_(ge(1), le(4096)))
    nfe: int = field(default=20, validator=COUNT)

    def __attrs_post_init__(self) -> None:
        idle = [*changed(self)] if self.every is None else []
        if idle:
            raise ConfigError(f"{idle[0]} {NO_EFFECT}")
