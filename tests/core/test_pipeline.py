"""A saved run, loaded again: the same model, the same samples, or one line that says why not."""

import json
import shutil

import pytest
import torch
from attrs import evolve

from diffx_core import Autoguidance, CheckpointError, ConfigError
from diffx_core.config.run import Run, SavedComponent
from diffx_core.dataset import spec_to_json
from diffx_core.engine.saving import Snapshot, save_checkpoint
from diffx_core.options import GuidanceOptions
from diffx_core.pipeline import Pipeline
from diffx_core.plugins import Registry
from diffx_samplers.ddim import DDIM
from diffx_samplers.predictor_corrector import PredictorCorrector
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.vp import VP

REGISTRY = Registry.load({})


SMALL = {"width": 16, "depth": 1, "octaves": 0}
"""A network whose rounding errors are not made larger by high frequencies."""


def saved(folder, dataset_options, label_dropout=0.1, seed=0, step=5):
    """A run of an untrained but not silent network."""
    found = {
        "scheduler": (REGISTRY.find("scheduler", "vpsde"), {}),
        "backbone": (REGISTRY.find("backbone", "mlp"), SMALL),
        "dataset": (REGISTRY.find("dataset", "toy2d"), dataset_options),
    }
    spec = found["dataset"][0].load()(**dataset_options).spec
    torch.manual_seed(seed)
    network = found["backbone"][0].load()(spec, **SMALL)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    run = Run(
        components={kind: SavedComponent.of(*pair) for kind, pair in found.items()},
        sections={"objective": {"prediction": "edm", "label_dropout": label_dropout}},
        spec=spec_to_json(spec),
    )
    state = network.state_dict()
    zeros = {name: torch.zeros_like(value) for name, value in state.items()}
    save_checkpoint(folder, Snapshot(step=step, weights=zeros, ema=state, record=run.to_json()))
    return folder


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("conditional"), {"kind": "moons", "points": 64})


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("free"), {"kind": "swiss_roll", "points": 64})


SAMPLERS = pytest.mark.parametrize(
    "sampler", [DDIM(steps=5), PredictorCorrector(steps=5)], ids=["ddim", "pc"]
)


@SAMPLERS
def test_a_sample_does_not_depend_on_how_many_are_drawn_at_once(conditional, sampler):
    pipeline = Pipeline.load(conditional, REGISTRY)
    at_once = pipeline.sample(7, sampler=sampler, label=[0, 1] * 3 + [0])
    in_parts = pipeline.sample(7, sampler=sampler, label=[0, 1] * 3 + [0], batch_size=3)
    assert torch.allclose(at_once, in_parts, atol=1e-5)


@SAMPLERS
def test_the_same_seed_gives_the_same_samples_and_another_does_not(conditional, sampler):
    pipeline = Pipeline.load(conditional, REGISTRY)
    first, again, other = (pipeline.sample(4, sampler=sampler, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()


def test_samples_are_drawn_from_the_averaged_weights(conditional):
    pipeline = Pipeline.load(conditional, REGISTRY)
    weights = pipeline.denoiser.backbone.state_dict()
    assert all(value.abs().sum() > 0 for value in weights.values() if value.is_floating_point())
    assert pipeline.step == 5


def test_labels_and_guidance_matter(conditional):
    pipeline = Pipeline.load(conditional, REGISTRY)
    drawn = [
        pipeline.sample(4, sampler=DDIM(steps=5), label=labels, guidance=GuidanceOptions(scale=s))
        for labels, s in (([0] * 4, 1.0), ([1] * 4, 1.0), ([0] * 4, 3.0), (None, 1.0))
    ]
    for i, one in enumerate(drawn):
        for other in drawn[i + 1 :]:
            assert not torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": 2, "label": [0]}, "1 labels for 2 samples"),
        ({"n": 2, "label": [0, 2]}, r"no such label: \[2\]; the model knows 0 to 1"),
        ({"n": 1, "label": [-1]}, r"no such label: \[-1\]"),
        ({"n": 1, "guidance": GuidanceOptions(scale=2.0)}, "none was given"),
    ],
)
def test_what_a_conditional_model_cannot_do_is_refused(conditional, arguments, message):
    pipeline = Pipeline.load(conditional, REGISTRY)
    with pytest.raises(ConfigError, match=message):
        pipeline.sample(arguments.pop("n"), sampler=DDIM(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": [0]}, "trained without labels: it takes none"),
        ({"guidance": GuidanceOptions(scale=2.0)}, "there is nothing to guide"),
    ],
)
def test_what_an_unconditional_model_cannot_do_is_refused(unconditional, arguments, message):
    pipeline = Pipeline.load(unconditional, REGISTRY)
    assert pipeline.sample(2, sampler=DDIM(steps=2)).isfinite().all()
    with pytest.raises(ConfigError, match=message):
        pipeline.sample(1, sampler=DDIM(), **arguments)


def test_guidance_needs_a_model_that_has_seen_hidden_labels(tmp_path):
    run = saved(tmp_path, {"kind": "moons", "points": 64}, label_dropout=0.0)
    pipeline = Pipeline.load(run, REGISTRY)
    with pytest.raises(ConfigError, match="label_dropout 0, so it has nothing to guide away from"):
        pipeline.sample(1, sampler=DDIM(), label=[0], guidance=GuidanceOptions(scale=2.0))


def test_a_sampled_model_can_still_be_differentiated(conditional):
    pipeline = Pipeline.load(conditional, REGISTRY)
    pipeline.sample(1, sampler=DDIM(steps=2))
    x = torch.zeros(1, 2, requires_grad=True)
    pipeline.denoiser(x, 1.0).x0.sum().backward()
    assert x.grad.isfinite().all()


def test_a_loaded_network_is_in_evaluation_mode(conditional):
    assert not Pipeline.load(conditional, REGISTRY).denoiser.backbone.training


def test_weights_that_do_not_fit_are_named(conditional, tmp_path):
    run = shutil.copytree(conditional, tmp_path / "run")
    checkpoint = next((run / "checkpoints").iterdir())
    record = json.loads((checkpoint / "record.json").read_text())["run"]
    record["components"]["backbone"]["options"]["width"] = 32
    shutil.rmtree(checkpoint)
    pipeline = Pipeline.load(conditional, REGISTRY)
    state = pipeline.denoiser.backbone.state_dict()
    save_checkpoint(run, Snapshot(step=5, weights=state, ema=state, record=record))
    with pytest.raises(
        CheckpointError, match=r"another network: \S+ is \S+, not \S+, and \d+ more differ$"
    ):
        Pipeline.load(run, REGISTRY)


def test_a_run_without_facts_is_refused(tmp_path):
    run = evolve(Run(components={}), spec=None)
    save_checkpoint(tmp_path, Snapshot(step=1, weights={}, ema={}, record=run.to_json()))
    with pytest.raises(CheckpointError, match="no facts about the data"):
        Pipeline.load(tmp_path, REGISTRY)


def test_an_earlier_checkpoint_guides_the_run(conditional, tmp_path):
    weak = saved(tmp_path / "weak", {"kind": "moons", "points": 64}, seed=1, step=2)
    pipeline = Pipeline.load(conditional, REGISTRY)
    how = {"sampler": DDIM(steps=4), "label": 1}
    options = GuidanceOptions(scale=2.0, against=weak)
    by_hand = Autoguidance(pipeline.denoiser, 2.0, weak=Pipeline.load(weak, REGISTRY).denoiser)
    found = pipeline.sample(3, guidance=options, **how)
    assert torch.equal(found, evolve(pipeline, denoiser=by_hand).sample(3, **how))
    under = pipeline.under(RectifiedFlow()).sample(3, guidance=options, **how)
    assert under.isfinite().all()


def test_a_model_of_other_data_cannot_guide(conditional, unconditional):
    pipeline = Pipeline.load(conditional, REGISTRY)
    with pytest.raises(ConfigError, match="is a model of other data"):
        pipeline.sample(1, guidance=GuidanceOptions(scale=2.0, against=unconditional))


def test_without_labels_another_model_still_guides(unconditional, tmp_path):
    weak = saved(tmp_path / "weak", {"kind": "swiss_roll", "points": 64}, step=2)
    pipeline = Pipeline.load(unconditional, REGISTRY)
    options = GuidanceOptions(scale=2.0, against=weak)
    x = pipeline.sample(2, sampler=DDIM(steps=2), guidance=options)
    torch.testing.assert_close(x, pipeline.sample(2, sampler=DDIM(steps=2)))  # of equal weights


def test_a_model_cannot_guide_itself(unconditional):
    pipeline = Pipeline.load(unconditional, REGISTRY)
    with pytest.raises(ConfigError, match="is the model itself, and guides nowhere"):
        pipeline.sample(1, guidance=GuidanceOptions(scale=2.0, against=unconditional))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "ddim"}, "sampler must be a Sampler, got 'ddim'"),
        ({"sampler": DDIM}, r"sampler must be an object, not a class: DDIM\(\)"),
        ({"scheduler": VP}, r"scheduler must be an object, not a class: VP\(\)"),
        ({"scheduler": DDIM()}, "scheduler must be a Scheduler, got DDIM"),
    ],
)
def test_what_a_run_is_loaded_for_is_an_object(conditional, arguments, message):
    with pytest.raises(ConfigError, match=message):
        Pipeline.load(conditional, REGISTRY, **arguments)


def test_another_process_is_refused_before_the_network_is_built(conditional, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "__init__", lambda self: pytest.fail("a network"))
    with pytest.raises(ConfigError, match="VP cannot be sampled under VP: it ends with"):
        Pipeline.load(conditional, REGISTRY, scheduler=VP(beta_max=1.0))
