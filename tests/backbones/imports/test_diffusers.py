"""What is imported from diffusers computes what it computes there.

Recorded answers stand in where diffusers is not installed; `record.py` makes them.
"""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_core import CheckpointError, Condition, ConfigError, ForeignWeights

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "diffusers.json").read_text("utf-8"))


def script():
    """The module that made the record."""
    spec = importlib.util.spec_from_file_location("record", HERE / "record.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record = script()


def network_of(config):
    return DiT if "Transformer" in config["_class_name"] else DDPMUNet


def imported(config, tensors, **told):
    network = network_of(config)
    foreign = ForeignWeights(path="folder", tensors=tensors, config=config, **told)
    found = network.import_weights(foreign)
    ours = network(found.spec, **found.options).eval()
    ours.load_state_dict(dict(found.weights))
    return found, ours


def said(ours, config):
    label = torch.tensor(record.LABELS) if record.has_classes(config) else None
    with torch.no_grad():
        return ours(record.X, torch.tensor(record.TIMES), Condition(label))


@pytest.mark.parametrize("case", RECORD)
def test_it_says_what_was_recorded(case):
    config, shapes, expected = RECORD[case].values()
    found, ours = imported(config, record.tensors_of(shapes))
    assert (found.spec.shape, found.spec.num_classes is None) == (
        (3, 8, 8),
        not record.has_classes(config),
    )
    got = said(ours, config).flatten()[::6]
    torch.testing.assert_close(got, torch.tensor(expected), atol=2e-4, rtol=1e-4)
    assert got.std() > 0.1


def test_every_case_is_recorded():
    assert {name: one["config"] for name, one in RECORD.items()} == {
        name: {"_class_name": kind, **config} for name, (kind, config) in record.CASES.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", RECORD)
@pytest.mark.filterwarnings("ignore")  # those of diffusers are not ours
def test_it_says_what_diffusers_says(case):
    pytest.importorskip("diffusers", reason="is in the dependency group bench")
    theirs = record.built(case)
    _, ours = imported({"_class_name": type(theirs).__name__, **theirs.config}, theirs.state_dict())
    # float32, whose sinusoids of times up to 1000 are good to 1e-4
    torch.testing.assert_close(said(ours, theirs.config), record.said(theirs), atol=2e-4, rtol=1e-4)


OTHERS = {
    "activation": ("unet", {"act_fn": "gelu"}, "act_fn is 'gelu', and ddpm_unet has 'silu'"),
    "times": ("unet", {"time_embedding_type": "fourier"}, "time_embedding_type is 'fourier'"),
    "a kind of block": (
        "unet",
        {"down_block_types": ["SkipDownBlock2D", "AttnDownBlock2D"]},
        "ddpm_unet has no SkipDownBlock2D",
    ),
    "attention one way": (
        "unet",
        {"up_block_types": ["UpBlock2D", "UpBlock2D"]},
        "attention is at other levels on the way up",
    ),
    "steps of two kinds": (
        "unet",
        {"down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"]},
        "some levels change sides by convolution and some by residual blocks",
    ),
    "groups": ("unet", {"attn_norm_num_groups": 4}, "attention has norms of other groups"),
    "more blocks": ("unet", {"layers_per_block": 2}, "layers_per_block: is not that of these"),
    "another class": ("unet", {"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel"),
    "channels that are none": ("unet", {"block_out_channels": 16}, "block_out_channels: is not"),
    "levels that are not there": (
        "unet",
        {"block_out_channels": [16, 32, 32]},
        "block_out_channels, down_block_types and up_block_types: is not that of these weights",
    ),
    "classes that are not there": ("unet", {"num_class_embeds": 5}, "num_class_embeds: is not"),
    "heads of a dit": ("dit", {"num_attention_heads": "2"}, "'2', and should be a number"),
    "activation of a dit": ("dit", {"activation_fn": "geglu"}, "activation_fn is 'geglu', and dit"),
    "norms of a dit": ("dit", {"norm_elementwise_affine": True}, "norm_elementwise_affine is True"),
    "a size added in norms of a dit": ("dit", {"norm_eps": 0.1}, "norm_eps is 0.1, and dit has"),
    "an option of a unet": ("unet", {"newoption": 5}, "config.json: newoption is 5, and what it"),
    "an option of a dit": ("dit", {"newoption": [0]}, r"newoption is \[0\], and what it means is"),
    "texts of a dit": ("dit", {"cross_attention_dim": 8}, "cross_attention_dim is 8, and dit has"),
    "a size that is no number": ("dit", {"norm_eps": "1e-6"}, "norm_eps is '1e-6', and dit has"),
}


@pytest.mark.parametrize(("case", "changes", "message"), OTHERS.values(), ids=OTHERS)
def test_what_is_built_otherwise_is_refused(case, changes, message):
    config, shapes, _ = RECORD[case].values()
    with pytest.raises(CheckpointError, match=message):
        imported({**config, **changes}, record.tensors_of(shapes))


@pytest.mark.parametrize("case", RECORD)
def test_what_a_config_says_of_itself_is_free(case):
    config, shapes, _ = RECORD[case].values()
    imported({**config, "_diffusers_version": "9", "_own": 1}, record.tensors_of(shapes))


def test_every_option_of_diffusers_is_known():
    from inspect import signature

    from diffx_backbones.imports import dit, unet2d

    diffusers = pytest.importorskip("diffusers", reason="is in the dependency group bench")
    names = {*signature(diffusers.UNet2DModel.__init__).parameters} - {"self"}
    assert names == {*unet2d.ONLY, *unet2d.CHECKED} - {"_class_name"}
    names = {*signature(diffusers.DiTTransformer2DModel.__init__).parameters} - {"self"}
    assert names >= {*dit.CHECKED}
    theirs = diffusers.DiTTransformer2DModel
    config = {"_class_name": theirs.__name__, **theirs(num_layers=1, num_embeds_ada_norm=5).config}
    dit._check_config(ForeignWeights(path="folder", tensors={}, config=config))


def test_a_dit_whose_blocks_are_told_different_things_is_refused():
    config, shapes, _ = RECORD["dit"].values()
    tensors = record.tensors_of(shapes)
    tensors["transformer_blocks.1.norm1.emb.class_embedder.embedding_table.weight"] += 1
    with pytest.raises(CheckpointError, match="block 0, and dit tells all blocks the same"):
        imported(config, tensors)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("dit", "transformer_blocks.x.y"),
        ("dit", "transformer_blocks.40000.y"),
        ("unet", "down_blocks.0.resnets.40000.y"),
    ],
)
def test_blocks_are_numbered_without_a_gap(case, name):
    config, shapes, _ = RECORD[case].values()
    block = name.removesuffix(".y")
    with pytest.raises(CheckpointError, match=f"folder: {re.escape(block)} is in it, and its"):
        imported(config, {**record.tensors_of(shapes), name: torch.zeros(1)})


def test_a_unet_needs_its_config():
    _, shapes, _ = RECORD["unet"].values()
    foreign = ForeignWeights(path="file", tensors=record.tensors_of(shapes))
    with pytest.raises(ConfigError, match=r"there is no config.json beside it: give the folder"):
        DDPMUNet.import_weights(foreign)


def test_older_names_of_attention_are_known():
    config, shapes, _ = RECORD["unet"].values()
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    new = re.compile("|".join(map(re.escape, older)))
    tensors = {
        new.sub(lambda match: older[match[0]], name): one
        for name, one in record.tensors_of(shapes).items()
    }
    assert any(".query." in name for name in tensors)
    _, ours = imported(config, tensors)
    _, expected = imported(config, record.tensors_of(shapes))
    assert torch.equal(said(ours, config), said(expected, config))


def test_the_frequencies_of_the_published_dit_can_be_taken_instead():
    config, shapes, _ = RECORD["dit"].values()
    tensors = record.tensors_of(shapes)
    found, _ = imported(config, tensors)
    other, _ = imported(config, tensors, options={"noise_period": 10_000.0})
    assert found.options["noise_period"] > other.options["noise_period"] == 10_000
    assert len(found.notes) == len(other.notes) + 1
