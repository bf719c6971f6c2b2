"""Every combination that makes sense trains and samples, found by name like a stranger's."""

import itertools

import pytest
import torch

from diffx_core import PREDICTIONS, ClassifierFreeGuidance, Condition, NetworkDenoiser, NoiseSource
from diffx_core import sample as draw
from diffx_core.contract import offered
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import ObjectiveOptions, TrainOptions
from diffx_core.plugins import Registry

LEARNED = [name for name in PREDICTIONS if name != "score"]
"""Predictions that are learned apart: a score is learned as eps is (test_overfit.py)."""
REGISTRY = Registry.load({})
OURS = [one for one in REGISTRY.all() if one.distribution.startswith("diffx-")]
SCHEDULERS = [*{one.target: one.name for one in OURS if one.kind == "scheduler"}.values()]
SAMPLERS = [one.name for one in OURS if one.kind == "sampler"]
SMALL = {
    "mlp": {"width": 64, "depth": 2},
    "unet": {"channels": 16, "mults": (1, 2)},
    "ddpm_unet": {"channels": (8, 16), "norm_groups": 4},
    "edm2": {"channels": 8, "mults": (1, 2)},
    "dit": {"width": 32, "depth": 1, "heads": 1},
    "uvit": {"width": 32, "depth": 3, "heads": 1},
    "timm": {"name": "test_vit"},
}
DATA = {
    "mlp": ("toy2d", {"points": 64}),
    "unet": ("digits", {"size": 8}),
    "ddpm_unet": ("digits", {"size": 8}),
    "edm2": ("digits", {"size": 8}),
    "dit": ("digits", {"size": 8}),
    "uvit": ("digits", {"size": 8}),
    "timm": ("digits", {"size": 8}),
}


def build(kind, name, /, *facts, **options):
    return REGISTRY.find(kind, name).load()(*facts, **options)


def trained(scheduler, backbone, prediction="edm", steps=2, batch_size=8, times="auto"):
    name, options = DATA[backbone]
    dataset = build("dataset", name, **options)
    torch.manual_seed(0)
    settings = SMALL[backbone] if backbone != "unet" else {**SMALL["unet"], "attention": (1,)}
    network = build("backbone", backbone, dataset.spec, **settings)
    denoiser = NetworkDenoiser(
        network, build("scheduler", scheduler), PREDICTIONS[prediction], dataset.spec.sigma_data
    )
    options = TrainOptions(steps=steps, batch_size=batch_size, warmup=0)
    Trainer(denoiser, dataset, Objective(ObjectiveOptions(times=times)), options).fit()
    network.eval()
    return denoiser, dataset.spec


def suited(scheduler):
    """The samplers that can go through a process."""
    process = build("scheduler", scheduler)
    found = [name for name in SAMPLERS if build("sampler", name).needs() <= offered(process)]
    assert len(found) >= len(SAMPLERS) - 1  # rk45 takes steps of its own, which tables do not know
    return found


def samples(denoiser, spec, sampler, scale=1.0, steps=4, count=3, grid="uniform"):
    labels = None if spec.num_classes is None else torch.arange(count) % spec.num_classes
    with torch.inference_mode():
        return draw(
            build("sampler", sampler, steps=steps, grid=grid),
            ClassifierFreeGuidance(denoiser, scale),
            spec.shape,
            noise=NoiseSource(0, range(count)),
            cond=Condition(labels),
        )


@pytest.mark.parametrize(("scheduler", "backbone"), list(itertools.product(SCHEDULERS, SMALL)))
def test_every_process_trains_every_network_and_every_sampler_samples_it(scheduler, backbone):
    denoiser, spec = trained(scheduler, backbone)
    for sampler, scale in itertools.product(suited(scheduler), (1.0, 2.0)):
        drawn = samples(denoiser, spec, sampler, scale)
        assert drawn.shape == (3, *spec.shape)
        assert drawn.isfinite().all()


@pytest.mark.parametrize(
    ("scheduler", "prediction"), list(itertools.product(SCHEDULERS, PREDICTIONS))
)
def test_every_prediction_works_with_every_process_and_sampler(scheduler, prediction):
    denoiser, spec = trained(scheduler, "mlp", prediction)
    for sampler in suited(scheduler):
        drawn = samples(denoiser, spec, sampler)
        assert drawn.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(("scheduler", "prediction"), list(itertools.product(SCHEDULERS, LEARNED)))
def test_samples_of_every_prediction_are_as_large_as_the_data(scheduler, prediction):
    """The root mean square of the data is 1; an ill-conditioned combination is far from it.

    All are trained and sampled at the same noise levels, whatever time means to the process.
    """
    denoiser, spec = trained(
        scheduler, "mlp", prediction, steps=100, batch_size=128, times="log_normal_sigma"
    )
    for sampler in suited(scheduler):
        drawn = samples(denoiser, spec, sampler, steps=15, count=128, grid="logsnr")
        size = float(drawn.square().mean().sqrt())
        assert 0.7 < size < 1.4, (sampler, size)


def test_the_slice_is_all_there():
    assert {one.name for one in OURS} >= {
        *("vpsde", "vesde", "rectified_flow"),
        *("mlp", "unet", "ddpm_unet", "edm2", "dit", "uvit"),
        *("ddim", "euler_maruyama", "pc"),
        *("digits", "toy2d"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_trained_model_draws_the_data_that_it_was_shown(scheduler):
    """Samples of rings lie on rings: the spread of their radii is the noise of the data."""
    dataset = build("dataset", "toy2d", kind="rings", points=2000)
    torch.manual_seed(0)
    network = build("backbone", "mlp", dataset.spec, width=64, depth=2)
    denoiser = NetworkDenoiser(
        network, build("scheduler", scheduler), PREDICTIONS["edm"], dataset.spec.sigma_data
    )
    Trainer(denoiser, dataset, Objective(), TrainOptions(steps=800, batch_size=128, lr=3e-3)).fit()
    index = torch.arange(512)
    real = dataset.batch(index)
    with torch.inference_mode():
        drawn = draw(
            build("sampler", "ddim", steps=25),
            denoiser,
            (2,),
            noise=NoiseSource(0, range(512)),
            cond=real.cond,
        )
    for ring in real.cond.label.unique():
        own = real.cond.label == ring
        radius, expected = drawn[own].norm(dim=1), real.x[own].norm(dim=1)
        assert float(radius.median()) == pytest.approx(float(expected.median()), rel=0.12)
