"""Samples that are about to be drawn: what is refused before, and what can be watched."""

from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from diffx_core import (
    PREDICTIONS,
    Autoguidance,
    ClassifierFreeGuidance,
    ComponentError,
    ConfigError,
    DataSpec,
    GuidanceOptions,
    NetworkDenoiser,
    Pipeline,
    PlusPlus,
    Projected,
    Rescaled,
)
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_schedulers.ddpm import DDPM


@frozen(eq=False)
class ByClass(GaussianDenoiser):
    """A model whose mean is its label, and -1 for those that are told nothing."""

    def __call__(self, x, t, cond=None):
        label = torch.full((len(x),), -1) if cond is None or cond.label is None else cond.label
        self.calls.append(t)
        return GaussianDenoiser(self.scheduler, label[:, None].double())(x, t)


SPEC = DataSpec((3,), num_classes=4)


@pytest.fixture
def denoiser():
    return ByClass(ReferenceVP())


@pytest.fixture
def pipeline(denoiser):
    return Pipeline(denoiser, SPEC, dtype=torch.float64)


def test_every_state_can_be_watched_and_the_last_is_the_sample(pipeline):
    drawing = pipeline.drawing(4, sampler=DDIM(steps=5), label=[0, 1, 2, 3], seed=7)
    reached = list(drawing.states())
    assert [one.step for one in reached] == [1, 2, 3, 4, 5]
    samples = pipeline.sample(4, sampler=DDIM(steps=5), label=[0, 1, 2, 3], seed=7)
    assert torch.equal(reached[-1].x, samples)


def test_drawing_can_be_ended_at_any_time(pipeline, denoiser):
    states = pipeline.drawing(4, sampler=DDIM(steps=50)).states()
    assert [next(states).step, next(states).step] == [1, 2]
    states.close()
    assert len(denoiser.calls) == 2


def test_states_are_drawn_without_gradients():
    class Learned(GaussianDenoiser):
        """One with something to learn."""

        weight = torch.ones((), dtype=torch.float64, requires_grad=True)

        def __call__(self, x, t, cond=None):
            return super().__call__(x * self.weight, t)

    drawing = Pipeline(Learned(ReferenceVP()), DataSpec((3,))).drawing(2, sampler=DDIM(steps=2))
    assert not any(one.x.requires_grad for one in drawing.states())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "nfe"), [("ddim", 7), ("heun", 7), ("unipc", 6), ("diffx-samplers:pc", 9)]
)
def test_a_name_and_a_number_of_calls_are_enough(pipeline, denoiser, name, nfe):
    pipeline.sample(3, sampler=name, nfe=nfe)
    assert len(denoiser.calls) == nfe


def test_one_label_is_that_of_all_samples(pipeline):
    one = pipeline.sample(3, sampler=DDIM(steps=2), label=2)
    assert torch.equal(one, pipeline.sample(3, sampler=DDIM(steps=2), label=[2, 2, 2]))


REFUSED = {
    "n": ({"n": 0}, "n must be at least 1, got 0"),
    "steps": ({"steps": 0}, "steps must be at least 1, got 0"),
    "calls": ({"nfe": 0}, "nfe must be at least 1, got 0"),
    "too few calls": ({"sampler": "heun", "nfe": 2}, "1 and 3 are possible"),
    "both": ({"steps": 2, "nfe": 2}, "exclude each other"),
    "name": ({"sampler": "dim"}, "did you mean .ddim"),
    "label": ({"label": 4}, r"no such label: \[4\]; the model knows 0 to 3"),
    "labels": ({"label": [0, 1]}, "2 labels for 3 samples"),
    "guidance": ({"guidance": GuidanceOptions(scale=2.0)}, "none was given"),
    "no guidance": ({"guidance": 2.0}, "guidance must be GuidanceOptions or a function.*, got 2.0"),
    "part of n": ({"n": 2.0}, "n must be a whole number, got 2.0"),
    "many n": ({"n": np.array([1, 2])}, "n must be a whole number"),
    "no n": ({"n": True}, "n must be a whole number, got True"),
    "part of a label": ({"label": 1.5}, "label must be a whole number, .*, got 1.5"),
    "no label": ({"label": True}, "label must be a whole number, .*, got True"),
    "no labels": ({"label": [0, True, 1]}, r"one for each of 3 samples, got \[0, True, 1"),
    "parts of labels": ({"label": torch.zeros(3)}, "label must be a whole number"),
    "text": ({"label": "012"}, "label must be a whole number, .*, got '012'"),
    "part of a step": ({"steps": 2.0}, "steps must be a whole number, got 2.0"),
    "part of a call": ({"nfe": 2.5}, "nfe must be a whole number, got 2.5"),
    "calls of whom": ({"sampler": "heun", "nfe": 2}, "the sampler Heun: no number of steps"),
    "seed": ({"seed": 0.5}, "seed must be a whole number, got 0.5"),
    "class": ({"sampler": DDIM}, r"sampler must be an object, not a class: DDIM\(\)"),
    "no sampler": ({"sampler": 20}, "sampler must be a Sampler, got 20"),
    "start": ({"start": torch.zeros(2, 3)}, r"start must be \(3, 3\), .* got \(2, 3\)"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_before_the_model_is_asked(
    pipeline, denoiser, arguments, message
):
    with pytest.raises(ConfigError, match=message):
        pipeline.drawing(**{"n": 3, **arguments})
    assert denoiser.calls == []


@pytest.mark.parametrize("label", [np.int64(2), torch.tensor(2), np.array([2, 2, 2])], ids=type)
def test_whole_numbers_of_other_libraries_are_labels(pipeline, label):
    one = pipeline.sample(3, sampler=DDIM(steps=2), label=label)
    assert torch.equal(one, pipeline.sample(3, sampler=DDIM(steps=2), label=2))


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ("rectified_flow", "scheduler must be a Scheduler, got 'rectified_flow'"),
        (ReferenceFlow, r"scheduler must be an object, not a class: ReferenceFlow\(\)"),
    ],
    ids=["name", "class"],
)
def test_another_process_is_an_object(pipeline, process, message):
    with pytest.raises(ConfigError, match=message):
        pipeline.under(process)


@pytest.mark.parametrize("size", [0, 1.5])
def test_a_batch_is_a_whole_number(pipeline, size):
    with pytest.raises(ConfigError, match=f"batch_size must be .*, got {size}"):
        pipeline.sample(3, batch_size=size)


def test_more_steps_than_the_process_has_times_are_refused_before_the_model_is_asked():
    denoiser = GaussianDenoiser(DDPM())
    with pytest.raises(ConfigError, match="1000 times"):
        Pipeline(denoiser, DataSpec((3,))).drawing(3, sampler=DDIM(steps=1001))
    assert denoiser.calls == []


def test_a_model_without_labels_is_not_guided():
    pipeline = Pipeline(GaussianDenoiser(ReferenceVP()), DataSpec((3,)))
    with pytest.raises(ConfigError, match="trained without labels: there is nothing to guide"):
        pipeline.drawing(3, guidance=GuidanceOptions(scale=2.0))


RULES = {
    "plain": (GuidanceOptions(scale=2.0), 2.0),
    "rescale": (GuidanceOptions(scale=2.0, rule="rescale"), Rescaled(2.0, 0.7)),
    "phi": (GuidanceOptions(scale=2.0, rule="rescale", phi=0.2), Rescaled(2.0, 0.2)),
    "plusplus": (GuidanceOptions(scale=0.6, rule="plusplus"), PlusPlus(0.6)),
    "projected": (GuidanceOptions(scale=2.0, rule="projected"), Projected(2.0)),
    "norm": (
        GuidanceOptions(scale=2.0, rule="projected", norm=0.1, momentum=0.2, parallel=0.3),
        Projected(2.0, norm=0.1, momentum=0.2, parallel=0.3),
    ),
}


@pytest.mark.parametrize(("options", "rule"), RULES.values(), ids=RULES)
def test_options_are_the_wrapper_that_they_stand_for(pipeline, options, rule):
    how = {"sampler": DDIM(steps=6), "label": 2}
    found = pipeline.sample(3, guidance=options, **how)
    wrapped = pipeline.sample(3, guidance=lambda inner: ClassifierFreeGuidance(inner, rule), **how)
    assert torch.equal(found, wrapped)
    assert not torch.allclose(found, pipeline.sample(3, **how), atol=1e-6)


def test_an_interval_is_one_of_noise_ratios(pipeline):
    how = {"sampler": DDIM(steps=6), "label": 2}
    options = GuidanceOptions(scale=2.0, interval=(0.3, 3.0))
    found = pipeline.sample(3, guidance=options, **how)
    wrapped = pipeline.sample(
        3, guidance=lambda inner: ClassifierFreeGuidance(inner, 2.0, (0.3, 3.0)), **how
    )
    assert torch.equal(found, wrapped)


def test_any_function_of_denoisers_guides(pipeline):
    weak = GaussianDenoiser(ReferenceVP(), 0.1, 0.9)

    def both(inner):
        return Autoguidance(ClassifierFreeGuidance(inner, 2.0), 1.5, weak=weak)

    found = pipeline.sample(3, sampler=DDIM(steps=6), label=2, guidance=both)
    by_hand = Pipeline(both(pipeline.denoiser), SPEC, dtype=torch.float64)
    assert torch.equal(found, by_hand.sample(3, sampler=DDIM(steps=6), label=2))


BAD_OPTIONS = {
    "unused": ({"scale": 2.0, "phi": 0.5}, "phi is 0.5, but the rule plain does not use it"),
    "idle rule": ({"rule": "rescale"}, "rule rescale changes nothing at scale 1"),
    "idle interval": ({"interval": (0.1, 2.0)}, "interval changes nothing at scale 1"),
    "empty interval": ({"scale": 2.0, "interval": (2.0, 1.0)}, "0 <= low < high, got 2,1"),
    "plusplus": ({"scale": 2.0, "rule": "plusplus"}, "scale of at most 1, got 2"),
    "rule": ({"rule": "hard"}, "'rule' must be one of plain, rescale, plusplus, projected: hard"),
    "no rule": ({"rule": 3}, "'rule' must be one of .*: 3"),
    "scale": ({"scale": "2"}, "'scale' must be a number: '2'"),
    "truth": ({"scale": True}, "'scale' must be a number: True"),
    "low scale": ({"scale": -1.0}, "'scale' must be >= 0: -1"),
    "no scale": ({"scale": float("nan")}, "'scale' must be >= 0: nan"),
    "phi": ({"scale": 2.0, "rule": "rescale", "phi": 3.0}, "'phi' must be <= 1: 3"),
    "no norm": ({"scale": 2.0, "rule": "projected", "norm": "1"}, "'norm' must be a number: '1'"),
    "one end": ({"scale": 2.0, "interval": 3.0}, "'interval' must be two numbers: 3"),
    "three ends": ({"scale": 2.0, "interval": (0, 1, 2)}, r"'interval' must be two numbers: \(0"),
    "no ends": ({"scale": 2.0, "interval": ("0", "1")}, "'interval' must be two numbers"),
    "against": ({"scale": 2.0, "against": 3}, "'against' must be the path of a run .*: 3"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_guidance_that_means_nothing_is_refused(options, message):
    with pytest.raises(ConfigError, match=message) as refused:
        GuidanceOptions(**options)
    assert "Attribute(" not in str(refused.value)


def test_a_run_to_guide_against_may_be_text():
    assert GuidanceOptions(scale=2.0, against="runs/a").against == Path("runs/a")


class Network:
    """A network that breaks at one of its calls."""

    def __init__(self, at, output):
        self.at, self.output, self.calls = at, output, 0

    def __call__(self, x, noise_label, cond):
        self.calls += 1
        return self.output(x) if self.calls % 5 == self.at else torch.zeros_like(x)


FAULTS = {
    "nan": (lambda x: x * torch.nan, "returned numbers that are not finite at step 3"),
    "infinite": (lambda x: x / 0, "returned numbers that are not finite at step 3"),
    "shape": (lambda x: x[:, :2], r"returned \(2, 2\) for an input of shape \(2, 3\) at step 3"),
    "dtype": (lambda x: x.half(), "returned torch.float16 for an input of torch.float32 at step 3"),
    "nothing": (lambda x: None, r"returned NoneType for an input of shape \(2, 3\) at step 3"),
}


@pytest.mark.parametrize(("output", "message"), FAULTS.values(), ids=FAULTS)
def test_a_network_that_breaks_is_named_with_the_step(output, message):
    network = Network(3, output)
    denoiser = NetworkDenoiser(network, ReferenceFlow(), PREDICTIONS["flow"])
    with pytest.raises(ComponentError, match=message + ", which leads to t = 0.4") as caught:
        Pipeline(denoiser, DataSpec((3,))).sample(2, sampler=DDIM(steps=5))
    assert caught.value.kind == "backbone"


@pytest.mark.parametrize("output", [lambda x: x * torch.nan, lambda x: x / 0], ids=["nan", "inf"])
def test_no_state_is_shown_that_is_not_finite(output):
    denoiser = NetworkDenoiser(Network(3, output), ReferenceFlow(), PREDICTIONS["flow"])
    states = Pipeline(denoiser, DataSpec((3,))).drawing(2, sampler=DDIM(steps=5)).states()
    assert [next(states).step, next(states).step] == [1, 2]
    with pytest.raises(ComponentError, match=r"not finite at step 3, which leads to t = 0.4"):
        next(states)


def test_mixed_precision_is_no_fault():
    layer = torch.nn.Linear(3, 3)
    denoiser = NetworkDenoiser(lambda x, t, c: layer(x), ReferenceFlow(), PREDICTIONS["flow"])
    with torch.autocast("cpu", torch.bfloat16):
        x = Pipeline(denoiser, DataSpec((3,))).sample(2, sampler=Heun(steps=3))
    assert x.dtype == torch.float32
    assert x.isfinite().all()


def test_some_samples_of_a_larger_set_are_those_of_the_set(pipeline):
    whole = pipeline.drawing(7, sampler=DDIM(steps=3), label=1, seed=3)
    part = evolve(whole, n=3, first=2, cond=pipeline.told(3, 1))
    assert torch.equal(part.samples(), whole.samples()[2:5])
    with pytest.raises(ValueError, match="first"):
        evolve(whole, first=-1)
