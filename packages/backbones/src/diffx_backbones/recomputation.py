"""Gradient checkpointing: what a block needs on the way back is computed again there, and not kept.

Only what goes into a block is kept, which is most of the memory saved, for one more pass forward:
steps take about one and a half times as long. Gradients are the same, with dropout too.

References:
    Chen et al., 2016, Training Deep Nets with Sublinear Memory Cost (arXiv:1604.06174).
"""

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def run(block: nn.Module, *inputs: object, recomputed: bool) -> Tensor:
    """What a block makes of its inputs, computed again on the way back if it is `recomputed`."""
    if recomputed:
        y: Tensor = checkpoint(block, *inputs, use_reentrant=False)
    else:
        y = block(*inputs)
    return y
