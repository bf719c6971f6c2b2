"""Attention against its definition."""

import pytest
import torch
from torch.testing import assert_close

from diffx_backbones.attention import SHORT, SelfAttention, attend


def defined(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v


@pytest.mark.parametrize("tokens", [1, 16, SHORT, SHORT + 1])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)],  # each dtype's own
    ids=["float64", "float32", "bfloat16"],
)
def test_every_form_computes_the_definition(tokens, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, tokens, 8, generator=generator, dtype=torch.float64)
    y = attend(q.to(dtype), k.to(dtype), v.to(dtype))
    assert y.dtype == dtype
    assert_close(y.double(), defined(q, k, v), atol=tolerance, rtol=tolerance)


def test_tokens_have_no_order():
    torch.manual_seed(0)
    attention = SelfAttention(8, 2).double()
    x, order = torch.randn(3, 5, 8).double(), torch.tensor([4, 2, 0, 1, 3])
    assert_close(attention(x[:, order]), attention(x)[:, order])


def test_one_token_attends_to_itself():
    torch.manual_seed(0)
    attention = SelfAttention(8, 2).double()
    x = torch.randn(3, 1, 8).double()
    v = attention.qkv(x)[..., 16:]
    assert_close(attention(x), attention.out(v))


def test_qk_norm_makes_the_weights_blind_to_the_length_of_queries_and_keys():
    torch.manual_seed(0)
    attention = SelfAttention(8, 2, qk_norm=True).double()
    x = torch.randn(3, 5, 8).double()
    before = attention(x)
    with torch.no_grad():
        attention.qkv.weight[:16] *= 7
        attention.qkv.bias[:16] *= 7
    # RMSNorm adds machine epsilon under the root, which the length does move
    assert_close(attention(x), before, atol=1e-6, rtol=0)
