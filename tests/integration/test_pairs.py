"""A network that reads an image beside x learns to tell one from the other, and samples by it."""

import torch
from attrs import field, frozen

from diffx_backbones.mlp import MLP
from diffx_core import (
    PREDICTIONS,
    Batch,
    Condition,
    Dataset,
    DataSpec,
    NetworkDenoiser,
    NoiseSource,
)
from diffx_core import sample as draw
from diffx_core.engine.trainer import Trainer
from diffx_core.options import TrainOptions
from diffx_samplers.ddim import DDIM
from diffx_schedulers.rectified_flow import RectifiedFlow


@frozen(eq=False)
class Mirrored(Dataset):
    """Points, each told of its mirror image."""

    spec: DataSpec = field(factory=lambda: DataSpec((2,), paired=True))

    def __len__(self):
        return 512

    def batch(self, index):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(512, 2, generator=generator)[index]
        return Batch(x, Condition(image=-x), index)


def test_samples_follow_the_image_that_they_are_told():
    torch.manual_seed(0)
    data = Mirrored()
    network = MLP(data.spec, width=32, depth=2, octaves=1)
    denoiser = NetworkDenoiser(network, RectifiedFlow(), PREDICTIONS["x0"])
    Trainer(denoiser, data, options=TrainOptions(steps=300, batch_size=128, lr=5e-3)).fit()
    network.eval()
    told = torch.tensor([[1.0, -1.0], [-0.5, 0.5], [0.0, 1.5]])
    with torch.inference_mode():
        drawn = draw(
            DDIM(steps=10),
            denoiser,
            (2,),
            noise=NoiseSource(0, range(3)),
            cond=Condition(image=told),
        )
    # points of other images are one apart on average
    torch.testing.assert_close(drawn, -told, atol=0.25, rtol=0)
