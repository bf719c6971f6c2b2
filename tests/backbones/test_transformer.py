"""The block of a transformer under autocast."""

import torch

from diffx_backbones.transformer import Block


def test_under_autocast_only_tokens_between_blocks_are_kept_in_float32():
    """The two norms keep their input each; nothing else as large is kept but in half precision."""
    block, condition = Block(16, 2, 32), torch.randn(2, 16)
    h = torch.randn(2, 8, 16, requires_grad=True)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        y = block(h, condition)
    tokens = {one.data_ptr() for one in kept if one.shape == h.shape and one.dtype == h.dtype}
    assert y.dtype == torch.float32
    assert len(tokens) == 2
