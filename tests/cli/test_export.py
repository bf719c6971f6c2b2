"""`diffx export`: what others read says what the network says."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from diffx_cli.__main__ import main
from diffx_core import NetworkDenoiser, NoiseSource, Pipeline, sample
from diffx_core.config.run import Run
from diffx_core.dataset import Condition, DataSpec
from diffx_core.plugins import Registry

PLANE = ("--dataset", "toy2d", "--dataset.points", "64", "--backbone", "mlp")
SMALL = {
    "unet": ("--preset", "tiny"),
    "ddpm_unet": ("--backbone.channels", "8,16", "--backbone.norm_groups", "4"),
    "dit": ("--backbone.width", "32", "--backbone.depth", "2", "--backbone.heads", "2"),
    "uvit": ("--backbone.width", "32", "--backbone.depth", "3", "--backbone.heads", "2"),
    "edm2": ("--preset", "tiny"),
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """A run of points with two classes."""
    folder = tmp_path_factory.mktemp("plane") / "run"
    steps = ("--train.steps", "4", "--train.batch_size", "16")
    assert main(["train", *PLANE, *steps, "--out", str(folder)]) == 0
    return folder


def facts_of(folder):
    return json.loads((folder / "export.json").read_text("utf-8"))


def exported(run, *arguments):
    assert main(["export", str(run), *map(str, arguments)]) == 0
    return max((run / "exports").iterdir())


def test_the_weights_and_the_facts_are_all_that_is_needed_to_build_the_network(plane):
    folder = exported(plane, "--format", "safetensors")
    facts, weights = facts_of(folder), load_file(folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert facts["files"] == {"model.safetensors": digest}
    run, registry = Run.from_json(facts["record"]), Registry.load()
    network = run.build("backbone", registry, DataSpec(**run.spec)).eval()
    network.load_state_dict(weights)
    pipeline = Pipeline.load(plane)
    x, t = torch.randn(5, 2), torch.rand(5)
    expected = pipeline.denoiser.backbone(x, t, Condition())
    assert torch.equal(network(x, t, Condition()), expected)
    assert facts["step"] == pipeline.step == 4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_rounded_to_what_was_asked_for(plane, dtype):
    folder = exported(plane, "--format", "safetensors", "--dtype", dtype)
    rounded = load_file(folder / "model.safetensors")
    whole = Pipeline.load(plane).denoiser.backbone.state_dict()
    assert rounded.keys() == whole.keys()
    for name, one in rounded.items():
        assert torch.equal(one, whole[name].to(getattr(torch, dtype)))


@pytest.mark.slow
def test_a_program_draws_the_same_samples_without_the_network(plane):
    folder = exported(plane, "--format", "torch_export")
    facts, program = facts_of(folder), torch.export.load(folder / "model.pt2").module()
    assert facts["error"] <= facts["tolerance"] == 1e-5
    pipeline = Pipeline.load(plane)
    trained = pipeline.denoiser

    def network(x, noise_label, cond):
        return program(x=x, noise_label=noise_label, label=cond.label)

    denoiser = NetworkDenoiser(
        network, trained.scheduler, trained.prediction, trained.sigma_data, trained.scale_input
    )
    labels = torch.arange(7) % pipeline.spec.num_classes
    method = Registry.load().find("sampler", "ddim").load()(steps=4)
    drawn = [
        sample(method, one, (2,), noise=NoiseSource(0, range(7)), cond=Condition(label=labels))
        for one in (trained, denoiser)
    ]
    torch.testing.assert_close(*drawn, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_network_for_images_becomes_a_program(name, tmp_path):
    options = ("--train.steps", "1", "--train.batch_size", "4")
    run = tmp_path / "run"
    assert main(["train", "--backbone", name, *SMALL[name], *options, "--out", str(run)]) == 0
    facts = facts_of(exported(run, "--format", "torch_export"))
    assert facts["error"] <= 1e-5
    assert facts["inputs"]["x"]["shape"] == ["batch", 1, 16, 16]
    assert facts["inputs"].keys() == {"x", "noise_label", "label"}


@pytest.mark.slow
def test_a_program_reads_texts_of_any_length(tmp_path):
    run = tmp_path / "run"
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(photos / f"{colour}.png")
        (photos / f"{colour}.txt").write_text(f"a {colour} square")
    data = ("--dataset", "image_folder", "--dataset.root", str(photos), "--dataset.captions", "txt")
    small = ("--text", "bytes", "--train.steps", "1", "--train.batch_size", "2", *SMALL["dit"])
    assert main(["train", "--backbone", "dit", *small, *data, "--out", str(run)]) == 0
    inputs = facts_of(exported(run, "--format", "torch_export"))["inputs"]
    assert inputs["context"]["shape"][:2] == inputs["mask"]["shape"] == ["batch", "tokens"]


TWINS = {
    "plain": ("--backbone.channels", "8,16", "--backbone.norm_groups", "4"),
    "blocks": (
        *(
            "--backbone.channels",
            "8,16,16",
            "--backbone.norm_groups",
            "4",
            "--backbone.blocks",
            "2",
        ),
        *("--backbone.resample", "block", "--backbone.modulation", "scale_shift"),
        *("--backbone.attention", "1,2", "--backbone.head_width", "8"),
    ),
    "after": (
        *("--backbone.channels", "8,16", "--backbone.norm_groups", "4"),
        *("--backbone.padding", "after", "--backbone.middle_attention", "false"),
        *("--objective.label_dropout", "0"),
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of diffusers are not ours
@pytest.mark.parametrize("case", TWINS)
def test_diffusers_loads_a_twin_that_says_the_same(case, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    run = tmp_path / "run"
    steps = ("--train.steps", "3", "--train.batch_size", "8", "--train.warmup", "0")
    options = (*TWINS[case], *steps, "--ema.kind", "none")
    assert main(["train", "--backbone", "ddpm_unet", *options, "--out", str(run)]) == 0
    folder = exported(run, "--format", "diffusers")
    theirs = diffusers.UNet2DModel.from_pretrained(folder).eval()
    ours = Pipeline.load(run).denoiser.backbone
    x, t = torch.randn(4, 1, 16, 16), torch.tensor([0.0, 1.5, 300.0, 999.0])
    labels = torch.tensor([0, 3, 9, 5])
    with torch.no_grad():
        expected = ours(x, t, Condition(label=labels))
        assert expected.std() > 1e-3
        said = theirs(x, t, class_labels=labels).sample
        torch.testing.assert_close(said, expected, rtol=1e-4, atol=2e-4 * float(expected.std()))
        notes, classes = facts_of(folder)["notes"], theirs.config.num_class_embeds
        assert classes == 10 + len(notes)
        if notes:
            none = theirs(x, t, class_labels=torch.full((4,), 10)).sample
            untold = ours(x, t, Condition())
            torch.testing.assert_close(none, untold, rtol=1e-4, atol=2e-4 * float(untold.std()))


@pytest.mark.slow
def test_a_twin_that_is_imported_again_has_the_same_weights(tmp_path):
    run, back = tmp_path / "run", tmp_path / "back"
    options = (*TWINS["plain"], "--train.steps", "1", "--train.batch_size", "4")
    assert main(["train", "--backbone", "ddpm_unet", *options, "--out", str(run)]) == 0
    folder = exported(run, "--format", "diffusers")
    again = ("--backbone", "ddpm_unet", "--out", str(back))
    assert main(["import-weights", str(folder), *again]) == 0
    ours, theirs = (Pipeline.load(one).denoiser.backbone.state_dict() for one in (run, back))
    table = "condition.classes.table.weight"
    assert torch.equal(ours.pop(table)[1:], theirs.pop(table)[1:11])
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(one, theirs[name]) for name, one in ours.items())


@pytest.fixture
def diffx(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        rc = main(["export", *map(str, arguments)])
        return rc, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "rc", "said"),
    [
        (("--format", "safetensors"), 5, "no finished run"),
        (("elsewhere", "--format", "safetensors"), 5, "elsewhere"),
        ((), 2, "--format"),
        (("--format", "pickle"), 2, "'pickle'"),
        (("--format", "torch_export", "--dtype", "float16"), 2, "has float32, not float16"),
        (("--format", "safetensors", "--dtype", "int8"), 2, "'int8'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_line(diffx, tmp_path, arguments, rc, said):
    code, out, err = diffx(*arguments)
    assert (code, out, err.count("\n")) == (rc, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_precision_that_cannot_hold_the_weights_is_refused(diffx, plane, monkeypatch, tmp_path):
    from diffx_cli.export.subject import Subject

    def weights(self):
        return {"layer.weight": torch.tensor([1e6])}

    monkeypatch.setattr(Subject, "weights", weights)
    out = tmp_path / "out"
    code, _, err = diffx(plane, "--format", "safetensors", "--dtype", "float16", "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "--dtype float16: cannot hold layer.weight" in err
    assert not out.exists()


BRANCHES = """
from attrs import frozen
import torch
from torch import nn
from diffx_core import Component, hookimpl

class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(*spec.shape, *spec.shape)

    def forward(self, x, noise_label, cond):
        {body}
"""
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    return [Component("net", "diffx_net.net:Net")]
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return self.layer(x) if float(x.sum()) > 0 else x", "cannot be made a program"),
        ("import random; return self.layer(x) * random.random()", "differs from the network"),
    ],
    ids=["reads values", "draws lots"],
)
def test_a_network_that_is_no_program_is_refused(diffx, fake_distribution, tmp_path, body, said):
    fake_distribution("diffx-net", {"plugin": PLUGIN, "net": BRANCHES.format(body=body)})
    run = tmp_path / "run"
    data = ("--dataset", "toy2d", "--dataset.points", "64", "--backbone", "net")
    steps = ("--train.steps", "2", "--train.batch_size", "8")
    assert main(["train", *data, *steps, "--out", str(run)]) == 0
    code, _, err = diffx(run, "--format", "torch_export")
    assert (code, err.count("\n")) == (3, 1)
    assert said in err
    assert "net (diffx-net 1.0)" in err
    assert not (run / "exports").exists()


def test_a_folder_that_holds_something_is_replaced_only_if_told(diffx, plane, tmp_path):
    out = tmp_path / "out"
    assert diffx(plane, "--format", "safetensors", "--out", out)[0] == 0
    first = (out / "model.safetensors").read_bytes()
    code, _, err = diffx(plane, "--format", "safetensors", "--dtype", "bfloat16", "--out", out)
    assert code == 2
    assert "is not empty" in err
    assert (out / "model.safetensors").read_bytes() == first
    again = ("--dtype", "bfloat16", "--out", out, "--overwrite")
    assert diffx(plane, "--format", "safetensors", *again)[0] == 0
    assert len((out / "model.safetensors").read_bytes()) < len(first)


def test_a_network_without_a_twin_is_refused(diffx, plane):
    code, _, err = diffx(plane, "--format", "diffusers")
    assert (code, err.count("\n")) == (2, 1)
    assert "mlp (diffx-backbones 0.1.0) has no twin in diffusers" in err


def test_frequencies_that_diffusers_has_not_are_refused(diffx, tmp_path):
    run = tmp_path / "run"
    options = (*SMALL["ddpm_unet"], "--backbone.noise_period", "500", "--train.steps", "1")
    batch = ("--train.batch_size", "4")
    assert main(["train", "--backbone", "ddpm_unet", *options, *batch, "--out", str(run)]) == 0
    code, _, err = diffx(run, "--format", "diffusers")
    assert (code, err.count("\n")) == (2, 1)
    assert "has noise_period 500: diffusers has none that does" in err
    assert not (run / "exports").exists()


def test_a_dry_run_writes_nothing(diffx, plane, tmp_path):
    before = sorted(Path(plane).rglob("*"))
    code, out, _ = diffx(plane, "--format", "torch_export", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["folder"] is None
    assert sorted(Path(plane).rglob("*")) == before
