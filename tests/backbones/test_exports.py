"""What diffusers makes of an exported network says what the network says."""

import inspect
import re

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_core import Condition, ConfigError, DataSpec, ForeignWeights

LEVELS = {"channels": (8, 16), "norm_groups": 4}
BLOCKS = {"channels": (8, 16, 16), "norm_groups": 4, "blocks": 2, "resample": "block"}
HEADS = {"modulation": "scale_shift", "attention": (1, 2), "head_width": 8}
SMALL = {"width": 32, "depth": 2, "heads": 2, "patch": 2}
TWIN = {"activation": "gelu", "noise_features": 256, "noise_period": 10000 ** (128 / 127)}
CASES = {
    "unet": (DDPMUNet, LEVELS, 5),
    "unet of blocks": (DDPMUNet, {**BLOCKS, **HEADS}, 5),
    "unet without classes": (DDPMUNet, {**LEVELS, "padding": "after"}, None),
    "dit": (DiT, {**SMALL, **TWIN}, 5),
    "dit without classes": (DiT, {**SMALL, **TWIN, "patch": 4}, None),
}


def all_options(network, options):
    """Every option of a network, as the record of a run has them."""
    told = list(inspect.signature(network).parameters.values())[1:]
    return {one.name: one.default for one in told} | options


def built(network, options, spec):
    """A network that says something, and how it is exported."""
    torch.manual_seed(0)
    ours = network(spec, **options).eval()
    for one in ours.parameters():
        one.data.normal_(std=0.2)
    return ours, network.export_weights(spec, all_options(network, options), ours.state_dict())


@pytest.mark.filterwarnings("ignore")  # those of diffusers are not ours
@pytest.mark.parametrize("case", CASES)
def test_the_twin_says_the_same(case):
    diffusers = pytest.importorskip("diffusers")
    network, options, classes = CASES[case]
    ours, made = built(network, options, DataSpec((3, 8, 8), classes))
    theirs = getattr(diffusers, made.name).from_config(dict(made.config)).eval()
    theirs.load_state_dict(made.weights)
    x, t = torch.randn(4, 3, 8, 8), torch.tensor([0.0, 1.5, 300.0, 999.0])
    labels = None if classes is None else torch.tensor([0, 3, 4, 1])
    pairs = [(labels, labels)]
    if classes is not None:
        assert f"class {classes} there stands for none" in made.notes
        pairs.append((None, torch.full((4,), classes)))
    elif network is DiT:
        pairs = [(None, torch.zeros(4, dtype=torch.int64))]
    with torch.no_grad():
        for here, there in pairs:
            expected = ours(x, t, Condition(label=here))
            said = theirs(x, t, class_labels=there).sample
            torch.testing.assert_close(said, expected, rtol=1e-4, atol=2e-4 * float(expected.std()))
            assert expected.std() > 1e-2


@pytest.mark.parametrize("case", [name for name, (_, _, classes) in CASES.items() if classes])
def test_what_is_imported_again_is_the_same_network(case):
    network, options, classes = CASES[case]
    ours, made = built(network, options, DataSpec((3, 8, 8), classes))
    foreign = ForeignWeights(path="folder", tensors=made.weights, config=made.config)
    back = network.import_weights(foreign).weights
    expected = ours.state_dict()
    table = "condition.classes.table.weight"
    if network is DDPMUNet:  # none is a class as any other there
        assert torch.equal(back[table][1:], expected[table].roll(-1, dims=0))
        back, expected = ({k: v for k, v in one.items() if k != table} for one in (back, expected))
    assert back.keys() == expected.keys()
    assert all(torch.equal(one, expected[name]) for name, one in back.items())


@pytest.mark.parametrize(
    ("options", "spec", "said"),
    [
        ({"activation": "silu"}, {}, "has activation silu: a DiT of diffusers has gelu"),
        ({"pe": "rope"}, {}, "has pe rope: a DiT of diffusers has abs"),
        ({"registers": 2}, {}, "has registers 2"),
        ({"noise_features": 64}, {}, "has noise_features 64: a DiT of diffusers has 256"),
        ({"noise_period": 10000.0}, {}, "has noise_period 10000: diffusers has 10752.17"),
        ({}, {"shape": (3, 8, 16)}, "is of images 8 by 16: a DiT of diffusers is of square ones"),
        ({}, {"paired": True}, "reads an image beside x"),
        ({}, {"context": 8}, "reads texts"),
    ],
    ids=str,
)
def test_a_dit_that_diffusers_has_not_is_refused(options, spec, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as error:
        built(DiT, {**SMALL, **TWIN, **options}, DataSpec(**{"shape": (3, 8, 8), **spec}))
    assert len(error.value.problems) == 1


def test_every_reason_is_given_at_once():
    with pytest.raises(ConfigError) as error:
        built(DiT, {**SMALL, "qk_norm": True, "class_tokens": 1}, DataSpec((3, 8, 8), 5))
    assert [one.split()[3] for one in error.value.problems] == [
        "activation",
        "qk_norm",
        "class_tokens",
        "noise_features",
        "noise_period",
    ]
