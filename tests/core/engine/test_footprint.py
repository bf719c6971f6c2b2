"""Memory that is counted without allocating any is what a real pass keeps."""

import pytest
import torch
from torch import nn

from diffx_backbones.dit import DiT
from diffx_backbones.mlp import MLP
from diffx_backbones.unet import UNet
from diffx_core import Condition, DataSpec
from diffx_core.engine.footprint import Footprint, footprint

LABEL = Condition(label=torch.zeros(1, dtype=torch.long))
SPEC = DataSpec(shape=(3, 16, 16), num_classes=10)


class Chain(nn.Module):
    """Layers of which each keeps what it reads, and nothing else."""

    def __init__(self, width, depth):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    def forward(self, x, noise_label, cond):
        return self.layers(x)


def kept(model, count, shape):
    """Bytes of real storages, without the model's, that a real pass keeps and returns."""
    own = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *model.buffers())}
    sizes, alive = {}, []

    def keep(tensor):
        alive.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    label = torch.zeros(count, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        keep(model(torch.zeros(count, *shape), torch.zeros(count), Condition(label=label)))
    return sum(sizes.values())


def test_a_chain_of_layers_needs_what_one_counts_by_hand():
    need = footprint(lambda: Chain(8, 3), (8,), Condition())
    parameters = 3 * (8 * 8 + 8)
    # The input and the outputs of two layers are kept, the last one is returned, in float32.
    assert need == Footprint(parameters, state=20 * parameters, example=4 * 8 * 4)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: UNet(SPEC, attention=()), SPEC.shape),
        (lambda: MLP(DataSpec(shape=(2,), num_classes=10)), (2,)),
    ],
    ids=["unet", "mlp"],
)
def test_what_is_counted_is_what_a_real_pass_keeps(build, shape):
    need = footprint(build, shape, LABEL)
    model = build().train()
    assert need.example == kept(model, 6, shape) - kept(model, 5, shape)


def test_attention_is_counted_with_its_matrices_which_processors_need_not_keep():
    need = footprint(lambda: DiT(SPEC), SPEC.shape, LABEL)
    model = DiT(SPEC).train()
    real = kept(model, 6, SPEC.shape) - kept(model, 5, SPEC.shape)
    assert real <= need.example < 1.5 * real


def test_recomputing_needs_less_for_an_example_and_no_other_state():
    plain, again = (
        footprint(lambda told=told: DiT(SPEC, checkpointing=told), SPEC.shape, LABEL)
        for told in (False, True)
    )
    assert again.example < plain.example / 2
    assert again.parameters == plain.parameters


def test_nothing_is_drawn_and_the_condition_stays_where_it_is():
    before = torch.get_rng_state()
    footprint(lambda: UNet(SPEC), SPEC.shape, LABEL)
    assert torch.equal(torch.get_rng_state(), before)
    assert LABEL.label.device.type == "cpu"


@pytest.mark.parametrize(("memory", "most"), [(99, 0), (100, 0), (109, 0), (110, 1), (1000, 90)])
def test_the_rest_of_the_memory_is_for_examples(memory, most):
    assert Footprint(parameters=5, state=100, example=10).most(memory) == most
