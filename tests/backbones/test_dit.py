"""What is special about the transformer."""

import shutil

import pytest
import torch

from diffx_backbones.attention import HeadNorm
from diffx_backbones.dit import DiT
from diffx_core import Condition, ConfigError, DataSpec

SPEC = DataSpec((2, 8, 12), num_classes=3)


def test_a_new_block_is_the_identity():
    network = DiT(SPEC, width=16)
    h, condition = torch.randn(2, 6, 16), torch.randn(2, 16)
    assert torch.equal(network.blocks[0](h, condition), h)


def test_every_patch_has_its_own_position():
    position = DiT(SPEC, patch=2, width=16).position
    assert position.shape == (4 * 6, 16)
    assert len(position.unique(dim=0)) == 4 * 6


def test_positions_are_those_of_the_published_network():
    position = DiT(SPEC, patch=2, width=16).position.unflatten(0, (4, 6))
    rate = torch.tensor([1.0, 1e-4 ** (1 / 4), 1e-4 ** (2 / 4), 1e-4 ** (3 / 4)])
    row, column = 3 * rate, 5 * rate
    expected = torch.cat([column.sin(), column.cos(), row.sin(), row.cos()])
    torch.testing.assert_close(position[3, 5], expected)


@pytest.mark.parametrize(
    ("option", "value"),
    [("noise_features", 7), ("noise_features", 0), ("noise_period", 1.0), ("noise_scale", 0.0)],
)
def test_sinusoids_that_are_none_are_refused(option, value):
    with pytest.raises(ConfigError, match=f"{option} must be .*, got {value:g}"):
        DiT(SPEC, **{option: value})


def test_positions_are_computed_and_not_learned():
    network = DiT(SPEC, width=16)
    assert "position" not in network.state_dict()


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patches_are_put_back_where_they_were_cut(patch):
    network = DiT(SPEC, patch=patch, width=2 * patch**2 * 2, depth=1, heads=1).double()
    size = 2 * patch**2
    with torch.no_grad():
        # the identity on patches, up to the layer norm's mean and scale, which the rows (u, -u) fix
        eye = torch.eye(size).double()
        network.stem.weight.copy_(torch.cat([eye, -eye]))
        network.stem.bias.zero_()
        network.position.zero_()
        network.out.weight.copy_(torch.cat([eye, -eye], dim=1) / 2)
    x = torch.randn(3, 2, 8, 12).double()
    y = network(x, torch.zeros(3).double(), Condition())
    assert torch.equal(y.sign(), x.sign())


@pytest.mark.parametrize("qk_norm", [True, False])
def test_queries_and_keys_are_normalised_if_asked_for(qk_norm):
    network = DiT(SPEC, depth=3, qk_norm=qk_norm)
    norms = [m for m in network.modules() if isinstance(m, HeadNorm)]
    assert len(norms) == (6 if qk_norm else 0)


def millions(network):
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize(
    ("preset", "published"), [("S/2", 33), ("B/4", 130), ("L/8", 458), ("XL/2", 675)]
)
def test_presets_have_the_size_that_was_published(preset, published):
    with torch.device("meta"):
        network = DiT(DataSpec((4, 32, 32), num_classes=1000), preset=preset)
    assert millions(network) == pytest.approx(published, rel=0.01)
    assert f"/{network.grid.side}" in preset


def test_what_is_told_takes_the_place_of_the_preset():
    network = DiT(SPEC, preset="small/2", width=32, depth=1)
    assert (network.grid.side, len(network.blocks), network.stem.out_features) == (2, 1, 32)
    assert network.blocks[0].attention.heads == 4


@pytest.mark.parametrize("preset", ["tiny/4", "small/4", "S/2", "B/2", "L/2", "XL/2"])
def test_presets_have_heads_near_the_fast_width(preset):
    with torch.device("meta"):
        attention = DiT(SPEC, preset=preset).blocks[0].attention
    assert attention.out.in_features // attention.heads in {64, 72}


def test_a_gated_mlp_has_as_many_parameters():
    plain, gated = (DiT(SPEC, preset="small/4", activation=one) for one in ("gelu", "swiglu"))
    assert millions(gated) == pytest.approx(millions(plain), rel=0.01)


def test_registers_change_what_is_said_and_not_its_shape():
    torch.manual_seed(0)
    network = DiT(SPEC, width=16, registers=2).double()
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    x = torch.randn(2, 2, 8, 12).double()
    before = network(x, torch.zeros(2).double(), Condition())
    network.registers.data += 1
    assert before.shape == x.shape
    assert not torch.equal(network(x, torch.zeros(2).double(), Condition()), before)


@pytest.fixture
def in_context():
    """A network that is told the class by tokens alone."""
    torch.manual_seed(0)
    network = DiT(SPEC, width=16, pe="rope", registers=1, class_tokens=2).double()
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    network.condition.classes.table.weight.data.zero_()
    return network


def test_class_tokens_tell_the_class(in_context):
    x, labels = torch.randn(3, 2, 8, 12).double(), torch.tensor([0, 1, -1])
    seen = []
    in_context.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    y = in_context(x, torch.zeros(3).double(), Condition(labels))
    assert seen[0].shape == (3, 2 + 1 + 6, 16)
    assert not torch.equal(seen[0][0, :2], seen[0][1, :2])
    assert torch.equal(seen[0][0, 2], seen[0][1, 2])
    other = in_context(x, torch.zeros(3).double(), Condition((labels + 1) % 3))
    assert (y != other).flatten(1).any(1).all()


def test_class_tokens_of_no_class_are_those_of_none(in_context):
    x = torch.randn(2, 2, 8, 12).double()
    untold = in_context(x, torch.zeros(2).double(), Condition())
    forgotten = Condition(torch.tensor([0, 1])).forgotten()
    torch.testing.assert_close(in_context(x, torch.zeros(2).double(), forgotten), untold)


def test_class_tokens_get_gradients_and_no_rotation(in_context):
    y = in_context(
        torch.randn(2, 2, 8, 12).double(), torch.zeros(2), Condition(torch.tensor([0, 2]))
    )
    y.square().sum().backward()
    assert all(p.grad.any() for p in in_context.class_tokens.parameters())
    assert torch.equal(in_context.rotation.sine[:3], torch.zeros(3, 4))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_it_compiles_as_one_graph():
    torch.manual_seed(0)
    options = {"pe": "rope", "registers": 1, "activation": "swiglu", "qk_norm": True}
    network = DiT(SPEC, width=16, depth=1, **options)
    for p in network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    inputs = torch.randn(2, 2, 8, 12), torch.tensor([3.0, 900.0]), Condition(torch.tensor([0, -1]))
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True)(*inputs)
        torch.testing.assert_close(compiled, network(*inputs), atol=1e-5, rtol=1e-5)
