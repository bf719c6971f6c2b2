"""What a process says of the first batch is heard before the first step."""

import pytest
import torch
from attrs import field, frozen

from diffx_core import (
    PREDICTIONS,
    Batch,
    ComponentError,
    Condition,
    ConfigError,
    Dataset,
    DataSpec,
    NetworkDenoiser,
)
from diffx_core.engine.order import DataOrder
from diffx_core.engine.preflight import preflight
from diffx_core.testing.oracle import ReferenceVP


@frozen
class Pairs(Dataset):
    """Points, and what each belongs to."""

    partner: tuple[int, ...] | None = None
    spec: DataSpec = field(factory=lambda: DataSpec((2,)))

    def __len__(self):
        return 8

    def batch(self, index):
        image = None if self.partner is None else torch.zeros(len(index), *self.partner)
        return Batch(torch.ones(len(index), 2), Condition(image=image), index)


@frozen
class Drawn(ReferenceVP):
    """A process around the partner of each point."""

    def anchor(self, cond):
        if cond.image is None:
            raise ConfigError("needs an image")
        return cond.image


def network(x, noise_label, cond):
    return x


def look(dataset):
    denoiser = NetworkDenoiser(network, Drawn(), PREDICTIONS["edm"])
    preflight(denoiser, dataset, DataOrder(8, 4, seed=0), torch.device("cpu"))


def test_an_anchor_of_the_shape_of_the_data_is_accepted():
    look(Pairs(partner=(2,)))


def test_an_anchor_of_another_shape_is_refused():
    with pytest.raises(ComponentError, match=r"anchor is \(2, 1\) for examples \(2, 2\)") as caught:
        look(Pairs(partner=(1,)))
    assert caught.value.kind == "scheduler"


def test_data_that_lack_what_the_process_needs_are_refused():
    with pytest.raises(ConfigError, match="needs an image"):
        look(Pairs())


@frozen
class Described(Dataset):
    """Points with a text of three tokens each."""

    spec: DataSpec

    def __len__(self):
        return 8

    def batch(self, index):
        told = Condition(context=torch.zeros(len(index), 3, 4))
        return Batch(torch.ones(len(index), 2), told, index)


def test_tokens_of_the_width_that_was_announced_are_accepted():
    denoiser = NetworkDenoiser(network, ReferenceVP(), PREDICTIONS["edm"])
    order = DataOrder(8, 4, seed=0)
    preflight(denoiser, Described(DataSpec((2,), context=4)), order, torch.device("cpu"))


@pytest.mark.parametrize("announced", [5, None])
def test_tokens_of_another_width_are_refused(announced):
    with pytest.raises(ComponentError, match=f"gives context tokens of 4, says {announced}"):
        look(Described(DataSpec((2,), context=announced)))


@pytest.mark.parametrize(("partner", "found"), [(None, "None"), ((3,), r"\(2, 3\)")])
def test_pairs_without_their_images_are_refused(partner, found):
    denoiser = NetworkDenoiser(network, ReferenceVP(), PREDICTIONS["edm"])
    data = Pairs(partner, DataSpec((2,), paired=True))
    with pytest.raises(ComponentError, match=f"gives images {found} beside"):
        preflight(denoiser, data, DataOrder(8, 4, seed=0), torch.device("cpu"))


@pytest.mark.parametrize("said", [True, False])
def test_captions_that_were_not_announced_are_refused_and_so_are_those_that_are_missing(said):
    class Captioned(Described):
        def batch(self, index):
            return Batch(torch.ones(len(index), 2), captions=None if said else ["", ""])

    denoiser = NetworkDenoiser(network, ReferenceVP(), PREDICTIONS["edm"])
    data = Captioned(DataSpec((2,), captions=said))
    with pytest.raises(ComponentError, match=f"captions, says captions {said}"):
        preflight(denoiser, data, DataOrder(8, 4, seed=0), torch.device("cpu"))
