"""The learning rate of each step: a pure function of how many there have been.

A step that is lost counts, so that a rate that ends at zero gets there. With n steps done of N,
a warm-up of W and s = n + 1,

    warm-up       lr s / (W + 1)                                while s <= W
    constant      lr
    cosine        lr (1 + cos(pi (s - W - 1) / (N - W))) / 2     zero after the last step
    linear        lr (1 - (s - W - 1) / (N - W))                 zero after the last step
    inverse_sqrt  lr sqrt((W + 1) / s)                           has no end, so N may grow

References:
    Loshchilov & Hutter, SGDR, 2017, arXiv:1608.03983 (cosine); Vaswani et al., Attention Is All You
    Need, 2017, arXiv:1706.03762, and Karras et al., 2024, arXiv:2312.02696 (inverse square root).
"""

import math

from diffx_core.options import TrainOptions


def learning_rate(options: TrainOptions, steps: int) -> float:
    """The learning rate of the step after so many."""
    return options.lr * share(options, steps)


def share(options: TrainOptions, steps: int) -> float:
    """What part of the highest learning rate it is."""
    start = options.warmup + 1
    if steps + 1 < start:
        return (steps + 1) / start
    if options.lr_schedule == "inverse_sqrt":
        return math.sqrt(start / (steps + 1))
    # A run that is no longer than its warm-up never gets here before its end.
    done = min(1.0, (steps + 1 - start) / max(1, options.steps - options.warmup))
    match options.lr_schedule:
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "linear":
            return 1 - done
        case _:
            return 1.0
