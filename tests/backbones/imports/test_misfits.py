"""What does not fit is named: every tensor that is missing, too many, or of another shape."""

import re

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_core import CheckpointError, ConfigError, ForeignWeights
from published import PlainDiT, fill
from published_unet import PlainUNet

DIT = fill(PlainDiT(side=8, patch=2, width=32, depth=2, heads=4, classes=6)).state_dict()
UNET = fill(PlainUNet(classes=5)).state_dict()


def take(network, tensors, **told):
    return network.import_weights(ForeignWeights(path="file.pt", tensors=tensors, **told))


def take_dit(changes=(), **told):
    tensors = {**DIT, **dict(changes)}
    tensors = {name: one for name, one in tensors.items() if one is not None}
    return take(DiT, tensors, **{"options": {"heads": 4}, **told})


def take_unet(changes=(), **told):
    tensors = {**UNET, **dict(changes)}
    tensors = {name: one for name, one in tensors.items() if one is not None}
    return take(DDPMUNet, tensors, **{"options": {"heads": 4}, "shape": (3, 16, 16), **told})


MISFITS = {
    "a tensor is missing": (
        lambda: take_dit({"blocks.1.mlp.fc2.bias": None}),
        "file.pt: there is no blocks.1.mlp.fc2.bias, which blocks.1.mlp.fc2.bias needs",
    ),
    "a tensor is quantised": (
        lambda: take_dit({"blocks.1.mlp.fc2.bias": torch.zeros(32, dtype=torch.int8)}),
        "file.pt: blocks.1.mlp.fc2.bias is of torch.int8: only plain floats are taken",
    ),
    "a tensor is complex": (
        lambda: take_dit({"blocks.1.mlp.fc2.bias": torch.zeros(32, dtype=torch.complex64)}),
        "file.pt: blocks.1.mlp.fc2.bias is of torch.complex64: only plain floats are taken",
    ),
    "a number is none": (
        lambda: take_dit({"blocks.1.mlp.fc2.bias": torch.full((32,), torch.nan)}),
        "file.pt: blocks.1.mlp.fc2.bias has numbers that are not finite",
    ),
    "a tensor is too many": (
        lambda: take_dit({"blocks.1.extra.weight": torch.zeros(3)}),
        r"file.pt: blocks.1.extra.weight \(3,\) has no place here",
    ),
    "a tensor has another shape": (
        lambda: take_dit({"blocks.0.attn.proj.weight": torch.zeros(32, 31)}),
        r"blocks.0.attn.proj.weight \(32, 31\) does not fit blocks.0.attention.out.weight \(32, 32",
    ),
    "a block has no number": (
        lambda: take_dit({"blocks.x.y": torch.zeros(1)}),
        "file.pt: blocks.x is in it, and its 3 blocks should be numbered 0 to 2",
    ),
    "blocks are left out": (
        lambda: take_dit({"blocks.40000.y": torch.zeros(1)}),
        "file.pt: blocks.40000 is in it, and its 3 blocks should be numbered 0 to 2",
    ),
    "a block of a unet has no number": (
        lambda: take_unet({"input_blocks.x.y": torch.zeros(1)}),
        "file.pt: input_blocks.x is in it",
    ),
    "a block of a unet is no module": (
        lambda: take_unet({"output_blocks.1": torch.zeros(1)}),
        r"file.pt: output_blocks.1 \(1,\) has no place here",
    ),
    "blocks of a unet are left out": (
        lambda: take_unet({"output_blocks.40000.y": torch.zeros(1)}),
        "file.pt: output_blocks.40000 is in it",
    ),
    "positions are learned": (
        lambda: take_dit({"pos_embed": DIT["pos_embed"] + 0.1}),
        "pos_embed is learned, and dit computes positions",
    ),
    "an output is of neither size": (
        lambda: take_dit({"final_layer.linear.weight": torch.zeros(12, 32)}),
        "says 3 channels of data with 4",
    ),
    "a unet without its skip": (
        lambda: take_unet({"output_blocks.0.0.skip_connection.weight": None}),
        "nothing in it becomes up.0.0.block.skip.weight",
    ),
    "a unet with other levels": (
        lambda: take_unet({"input_blocks.4.0.op.weight": torch.zeros(1)}),
        "5 input_blocks and 4 output_blocks do not make 2 levels",
    ),
    "a unet given to dit": (
        lambda: take(DiT, UNET),
        "is no DiT or SiT as published, and none of diffusers: there is no x_embedder.proj.weight",
    ),
    "a dit given to a unet": (
        lambda: take(DDPMUNet, DIT),
        "is no U-Net of guided-diffusion or of diffusers: there is no input_blocks.0.0.weight",
    ),
}


@pytest.mark.parametrize(("importing", "message"), MISFITS.values(), ids=MISFITS)
def test_a_file_that_does_not_fit_is_refused(importing, message):
    with pytest.raises(CheckpointError, match=message):
        importing()


@pytest.mark.parametrize("shape", [(), (7,)], ids=str)
@pytest.mark.parametrize("name", [*DIT, *UNET])
def test_a_tensor_of_any_other_kind_is_refused(name, shape):
    with pytest.raises((CheckpointError, ConfigError), match=re.escape(f"file.pt: {name} ")):
        (take_dit if name in DIT else take_unet)({name: torch.zeros(shape)})


TOLD = {
    "no heads": (
        lambda: take_dit(options={}),
        "does not say how many heads: give --backbone.heads",
    ),
    "no heads of a unet": (lambda: take_unet(options={}), "--backbone.heads or --backbone.head_w"),
    "another width": (lambda: take_dit(options={"width": 64}), "width is 32 in file.pt, not 64"),
    "other classes": (lambda: take_dit(num_classes=9), "has 6 classes and one for none, not 9"),
    "other classes of a unet": (lambda: take_unet(num_classes=9), "has 5 classes, not 9"),
    "no shape": (lambda: take_unet(shape=None), "does not say the size of images: give --shape"),
    "other channels": (
        lambda: take_unet(shape=(1, 16, 16)),
        "images of 3 channels, not .1, 16, 16.",
    ),
    "other channels of dit": (
        lambda: take_dit(shape=(3, 8, 8)),
        "images of 4 channels, not .3, 8, 8.",
    ),
    "no image": (lambda: take_dit(shape=(4,)), "images of 4 channels, not .4,."),
    "a larger image": (lambda: take_dit(shape=(4, 16, 16)), "is of 16 patches, and images"),
    "another layout": (lambda: take_dit(layout="adm"), "dit takes the layouts dit, sit, diffusers"),
    "another layout of a unet": (lambda: take_unet(layout="sit"), "takes the layouts guided_diff"),
}


@pytest.mark.parametrize(("importing", "message"), TOLD.values(), ids=TOLD)
def test_what_is_told_and_is_not_so_is_refused(importing, message):
    with pytest.raises(ConfigError, match=message):
        importing()


def test_a_long_list_is_cut():
    with pytest.raises(CheckpointError) as caught:
        take_dit({f"extra.{i}": torch.zeros(1) for i in range(40)})
    assert len(caught.value.problems) == 13
    assert caught.value.problems[-1] == "file.pt: and 28 more like these"


def test_options_that_the_file_does_not_decide_are_kept():
    found = take_dit(options={"heads": 4, "checkpointing": True})
    assert found.options["checkpointing"] is True


def test_weights_of_half_precision_become_float32():
    found = take(DiT, {k: v.half() for k, v in DIT.items()}, options={"heads": 4})
    assert {one.dtype for one in found.weights.values()} == {torch.float32}
