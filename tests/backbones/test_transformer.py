"""The block of a transformer under autocast, and its MLP, which is that of timm."""

import pytest
import torch
from timm.layers import GELUTanh, GluMlp, Mlp
from torch import nn

from diffx_backbones.transformer import Block, FeedForward


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


@pytest.mark.parametrize(
    ("activation", "theirs"),
    [
        ("silu", lambda: Mlp(24, 96, act_layer=nn.SiLU)),
        ("gelu", lambda: Mlp(24, 96, act_layer=GELUTanh)),
        ("swiglu", lambda: GluMlp(24, 2 * 64, act_layer=nn.SiLU, gate_last=False)),
    ],
)
def test_the_mlp_is_that_of_timm_with_its_names(activation, theirs):
    ours, h = FeedForward(24, 96, activation), torch.randn(2, 5, 24)
    theirs = theirs()
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours(h), theirs(h))
