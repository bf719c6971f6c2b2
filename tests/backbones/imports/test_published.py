"""What is imported computes what the published networks compute, written plainly."""

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_backbones.dit import DiT
from diffx_core import Condition, ForeignWeights, ImportsWeights
from published import PlainDiT, fill
from published_unet import PlainUNet

TIMES = torch.tensor([0.0, 17.0, 500.0, 999.0])
X = torch.linspace(-2, 2, 4 * 3 * 16 * 16).sin().view(4, 3, 16, 16)
SMALL = {"side": 16, "channels": 3, "patch": 4, "width": 32, "depth": 2, "heads": 4, "classes": 6}


def imported(network, theirs, **told):
    assert isinstance(network, ImportsWeights)
    found = network.import_weights(
        ForeignWeights(path="file.pt", tensors=theirs.state_dict(), **told)
    )
    ours = network(found.spec, **found.options).eval()
    ours.load_state_dict(dict(found.weights))
    return found, ours


def agree(ours, theirs):
    # float32, whose sinusoids of times up to 1000 are good to 1e-4
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert theirs.std() > 0.1


@pytest.mark.parametrize("outputs", [3, 6], ids=["", "learned variances"])
@torch.no_grad()
def test_dit(outputs):
    theirs = fill(PlainDiT(**SMALL, outputs=outputs))
    found, ours = imported(DiT, theirs, options={"heads": 4})
    expected = theirs(X, TIMES, torch.tensor([0, 5, 6, 2]))[:, :3]
    agree(ours(X, TIMES, Condition(torch.tensor([0, 5, -1, 2]))), expected)
    assert (found.layout, found.scheduler, found.prediction) == ("dit", "ddpm", "eps")
    assert found.knows_nothing_told
    assert ["learned variances" in note for note in found.notes] == [True] * (outputs == 6)


@torch.no_grad()
def test_sit_says_the_velocity_the_other_way_at_the_other_time():
    theirs = fill(PlainDiT(**SMALL, outputs=6))
    found, ours = imported(DiT, theirs, options={"heads": 4}, layout="sit")
    expected = theirs(X, 1 - TIMES / 1000, torch.tensor([0, 5, 6, 2]))[:, :3]
    agree(-ours(X, TIMES, Condition(torch.tensor([0, 5, -1, 2]))), expected)
    assert (found.scheduler, found.prediction) == ("rectified_flow", "flow")
    assert not found.scale_input
    assert found.notes == ("the second half of the output, which SiT does not use, is left out",)


UNETS = {
    "ddpm": ({}, {"heads": 4}),
    "without attention below": ({"attention": (), "mults": (2, 3)}, {"heads": 4}),
    "adm": (
        {
            "mults": (1, 2, 3),
            "blocks": 2,
            "attention": (1, 2),
            "head_width": 16,
            "classes": 5,
            "outputs": 6,
            "scales": True,
            "updown": True,
        },
        {"head_width": 16},
    ),
    "of one level": ({"mults": (1,), "attention": (0,)}, {"heads": 4}),
}


@pytest.mark.parametrize(("made", "told"), UNETS.values(), ids=UNETS)
@torch.no_grad()
def test_guided_diffusion(made, told):
    theirs = fill(PlainUNet(**made))
    found, ours = imported(DDPMUNet, theirs, shape=(3, 16, 16), options=told)
    label = torch.tensor([0, 4, 2, 1]) if "classes" in made else None
    agree(ours(X, TIMES, Condition(label)), theirs(X, TIMES, label)[:, :3])
    assert (found.layout, found.scheduler, found.prediction) == ("guided_diffusion", "ddpm", "eps")
    assert (found.spec.num_classes, found.spec.levels) == (made.get("classes"), 256)
    assert not found.knows_nothing_told


@torch.no_grad()
def test_the_newer_order_of_attention_has_to_be_told():
    theirs = fill(PlainUNet(is_new=True))
    told = {"shape": (3, 16, 16), "options": {"heads": 4}}
    _, older = imported(DDPMUNet, theirs, **told)
    found, newer = imported(DDPMUNet, theirs, **told, layout="guided_diffusion_new")
    expected = theirs(X, TIMES)
    agree(newer(X, TIMES, Condition()), expected)
    assert (older(X, TIMES, Condition()) - expected).abs().max() > 0.01
    assert found.layout == "guided_diffusion_new"


@torch.no_grad()
def test_a_class_that_is_not_told_leaves_the_noise_level():
    theirs = fill(PlainUNet(classes=5))
    _, ours = imported(DDPMUNet, theirs, shape=(3, 16, 16), options={"heads": 4})
    theirs.label_emb.weight.zero_()
    label = torch.full((4,), -1)
    agree(ours(X, TIMES, Condition(label)), theirs(X, TIMES, label * 0))


def test_published_sizes_have_their_heads():
    with torch.device("meta"):
        tensors = PlainDiT(width=384, depth=12).state_dict()
    tensors = {name: torch.zeros(one.shape) for name, one in tensors.items()}
    tensors["pos_embed"] = PlainDiT(depth=0, width=384).pos_embed.data
    found = DiT.import_weights(ForeignWeights(path="S.pt", tensors=tensors))
    assert (found.options["heads"], found.spec.shape) == (6, (4, 32, 32))
    assert found.spec.levels is None
