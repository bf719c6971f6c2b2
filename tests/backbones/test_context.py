"""Context tokens, read by cross-attention."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from diffx_backbones.context import CrossAttention, Told
from diffx_backbones.dit import DiT
from diffx_backbones.edm2 import EDM2
from diffx_backbones.mlp import MLP
from diffx_backbones.trunk import Trunk
from diffx_backbones.unet import UNet
from diffx_backbones.uvit import UViT
from diffx_core import Condition, ConfigError, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3, context=5)


def cond(seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]]).bool()
    given = {"label": torch.tensor([0, 1, -1]), "context": context, "mask": mask}
    return Condition(**{**given, **changes})


READERS = {
    "dit": partial(DiT, width=16, depth=2, qk_norm=True, checkpointing=True),
    "uvit": partial(UViT, width=16, depth=3, checkpointing=True),
    "uvit-rope": partial(UViT, width=16, depth=3, pe="rope", qk_norm=True),
    "unet": partial(UNet, channels=8, mults=(1, 2), attention=(1,), checkpointing=True),
}


@pytest.fixture(params=READERS)
def network(request):
    torch.manual_seed(0)
    network = READERS[request.param](SPEC).double()
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return network


@pytest.fixture
def say(network):
    x = torch.linspace(-1, 1, 3 * 192).double().view(3, 2, 8, 12)
    return lambda cond: network(x, torch.tensor([1.0, 500.0, 999.0]).double(), cond)


def test_every_token_that_is_there_matters_and_no_other(say):
    before = say(cond())
    for i in range(3):
        for j in range(4):
            context = cond().context.clone()
            context[i, j] = 7.0 if cond().mask[i, j] else float("nan")
            changed = (say(cond(context=context)) != before).flatten(1).any(1)
            assert changed.tolist() == [k == i and bool(cond().mask[i, j]) for k in range(3)]


def test_forgotten_tokens_are_no_tokens(say):
    untold = say(Condition())
    assert_close(say(cond().forgotten()), untold, rtol=1e-12, atol=1e-12)
    assert (say(cond()) != untold).flatten(1).any(1).all()


def test_without_a_mask_every_token_is_there(say):
    full = cond(mask=torch.ones(3, 4).bool())
    assert torch.equal(say(Condition(full.label, context=full.context)), say(full))


def test_every_parameter_gets_a_gradient(network, say):
    say(cond()).square().sum().backward()
    assert [name for name, p in network.named_parameters() if not p.grad.any()] == []


def test_a_new_block_is_the_identity():
    network = DiT(SPEC, width=16)
    told = Told(torch.randn(2, 3, 5), torch.ones(2, 1, 1, 3, dtype=torch.bool))
    h = torch.randn(2, 6, 16)
    assert torch.equal(network.blocks[0](h, torch.randn(2, 16), None, told), h)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_both_forms_of_attention_heed_the_mask(dtype):
    torch.manual_seed(0)
    cross = CrossAttention(16, 2, 5, qk_norm=False)
    torch.nn.init.normal_(cross.out.weight)
    h, tokens = torch.randn(2, 6, 16), torch.randn(2, 3, 5)
    mask = torch.tensor([1, 0, 1]).bool().expand(2, 1, 1, 3)
    short = cross(h, Told(tokens[:, [0, 2]], mask[..., [0, 2]]))
    found = cross.to(dtype)(h.to(dtype), Told(tokens.to(dtype), mask))
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    assert_close(found.float(), short, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("build", [EDM2, Trunk, MLP])
def test_a_network_that_would_not_read_them_is_refused(build):
    spec = DataSpec((2,) if build is MLP else (2, 8, 8), context=5)
    with pytest.raises(ConfigError, match="reads no context tokens"):
        build(spec)


def test_a_u_net_asks_where_it_has_attention():
    network = UNet(SPEC, channels=8, mults=(1, 2), blocks=1, attention=(1,))
    asked = [name for name, m in network.named_modules() if isinstance(m, CrossAttention)]
    assert asked == [f"{block}.attention.cross" for block in ("down.1", "middle", "up.0")]


def test_a_u_net_without_attention_is_refused():
    with pytest.raises(ConfigError, match="where it has attention, and it has none"):
        UNet(SPEC, channels=8, mults=(1, 2), attention=())


def test_the_graph_has_no_breaks(network, say):
    compiled = torch.compile(network.eval(), fullgraph=True, backend="eager")
    x = torch.zeros(3, 2, 8, 12).double()
    inputs = x, torch.zeros(3).double(), cond()
    assert_close(compiled(*inputs), network(*inputs))
