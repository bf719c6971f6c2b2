"""`diffx export`: what others read says what the network says."""

import hashlib
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import onnxruntime
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
    "unet": (
        *("--backbone.channels", "32", "--backbone.mults", "1,2", "--backbone.blocks", "1"),
        *("--backbone.attention", "1"),
    ),
    "ddpm_unet": ("--backbone.channels", "8,16", "--backbone.norm_groups", "4"),
    "dit": ("--backbone.width", "32", "--backbone.depth", "2", "--backbone.heads", "2"),
    "uvit": ("--backbone.width", "32", "--backbone.depth", "3", "--backbone.heads", "2"),
    "edm2": ("--backbone.channels", "32", "--backbone.mults", "1,2", "--backbone.blocks", "1"),
}
DRY = pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["done", "dry run"])
"""A dry run refuses what the real one would."""


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
    x, t, label = torch.randn(5, 1, 16, 16), 1000 * torch.rand(5), torch.arange(5)
    with torch.no_grad():
        expected = Pipeline.load(run).denoiser.backbone(x, t, Condition(label=label))
    for form, said in (("torch_export", said_by_torch), ("onnx", said_by_onnxruntime)):
        folder = exported(run, "--format", form)
        facts = facts_of(folder)
        assert facts["error"] <= facts["tolerance"] <= 1e-4
        assert facts["inputs"]["x"]["shape"] == ["batch", 1, 16, 16]
        assert facts["inputs"].keys() == {"x", "noise_label", "label"}
        found = said(folder, x=x, noise_label=t, label=label)
        most = facts["tolerance"] * float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=most)


def said_by_torch(folder, **told):
    return torch.export.load(folder / "model.pt2").module()(**told)


def said_by_onnxruntime(folder, **told):
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (said,) = session.run(["output"], {name: one.numpy() for name, one in told.items()})
    return torch.from_numpy(said)


@pytest.mark.parametrize("form", ["torch_export", "onnx"])
def test_a_program_says_nothing_of_the_machine_that_it_was_made_on(plane, form):
    (file,) = exported(plane, "--format", form).glob("model.*")
    held = file.read_bytes()
    if form == "torch_export":
        with zipfile.ZipFile(file) as archive:
            held = b"".join(archive.read(name) for name in archive.namelist())
    assert held.count(b"addcmul") > 0 or held.count(b"Gemm") > 0
    assert b".py" not in held
    assert str(Path(__file__).parents[2]).encode() not in held


def test_weights_that_one_file_cannot_hold_are_in_one_beside_it(plane, monkeypatch):
    monkeypatch.setattr("diffx_cli.export.onnx.MOST", 1000)
    folder = exported(plane, "--format", "onnx")
    size = sum(one.nbytes for one in Pipeline.load(plane).denoiser.backbone.parameters())
    assert (folder / "model.onnx").stat().st_size < size < 2 * size
    assert (folder / "model.onnx.data").stat().st_size > 0.9 * size
    assert facts_of(folder)["error"] <= 1e-4


@DRY
def test_without_the_libraries_what_to_install_is_said(diffx, plane, monkeypatch, dry):
    found = find_spec
    monkeypatch.setattr(
        "diffx_cli.export.onnx.find_spec", lambda name: None if "onnx" in name else found(name)
    )
    before = sorted(Path(plane).rglob("*"))
    code, _, err = diffx(plane, "--format", "onnx", *dry)
    assert (code, err.count("\n")) == (2, 1)
    assert "needs onnx, onnxscript, onnxruntime: pip install 'diffx-cli[onnx]'" in err
    assert sorted(Path(plane).rglob("*")) == before


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
    for form in ("torch_export", "onnx"):
        inputs = facts_of(exported(run, "--format", form))["inputs"]
        assert inputs["context"]["shape"][:2] == inputs["mask"]["shape"] == ["batch", "tokens"]


TWINS = {
    "ddpm_unet": SMALL["ddpm_unet"],
    "dit": (
        *SMALL["dit"],
        *("--backbone.activation", "gelu", "--backbone.noise_features", "256"),
        *("--backbone.noise_period", "10752.17"),
    ),
}
STEPS = ("--train.steps", "3", "--train.batch_size", "8", "--train.warmup", "0")
TABLE = ("--scheduler", "ddpm", "--objective.scale_input", "false", "--ema.kind", "none")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of diffusers are not ours
@pytest.mark.parametrize("name", TWINS)
def test_diffusers_draws_the_same_samples_with_a_twin(name, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    run = tmp_path / "run"
    options = (*TWINS[name], *STEPS, *TABLE, "--objective.prediction", "v")
    assert main(["train", "--backbone", name, *options, "--out", str(run)]) == 0
    folder = exported(run, "--format", "diffusers")
    facts = facts_of(folder)
    assert facts["notes"] == ["class 10 there stands for none"]
    theirs = getattr(diffusers, facts["class"]).from_pretrained(folder).eval()
    method = diffusers.DDIMScheduler.from_pretrained(folder)
    method.set_timesteps(5)
    pipeline, labels = Pipeline.load(run), torch.tensor([0, 3, 9])
    ddim = Registry.load().find("sampler", "ddim").load()(steps=5)
    noise = NoiseSource(0, range(3))
    x = start = noise.normal((1, 16, 16), 0)
    cond, facts = Condition(label=labels), {"noise": noise, "start": start}
    expected = sample(ddim, pipeline.denoiser, (1, 16, 16), cond=cond, **facts)
    with torch.no_grad():
        for t in method.timesteps:
            said = theirs(x, t.expand(3), class_labels=labels).sample
            x = method.step(said, t, x).prev_sample
    assert (expected - start).std() > 0.1
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            (),
            (
                "the network says edm, where diffusers reads eps, x0, v (--objective.prediction);"
                " it is shown x at unit variance, where diffusers shows it as it is"
                " (--objective.scale_input false); the process is in continuous time,"
                " where those of diffusers are tables of levels (--scheduler ddpm)"
            ),
        ),
        (
            (*TABLE, "--objective.prediction", "eps", "--scheduler.T", "500"),
            "the network is told another number than that of the level (--scheduler.T 1000)",
        ),
    ],
    ids=["many reasons", "labels"],
)
def test_a_process_that_diffusers_has_not_is_left_out_and_that_is_said(
    diffx, tmp_path, arguments, why
):
    run = tmp_path / "run"
    small = ("--backbone", "ddpm_unet", *SMALL["ddpm_unet"], *STEPS)
    assert main(["train", *small, *arguments, "--out", str(run)]) == 0
    code, _, err = diffx(run, "--format", "diffusers")
    assert code == 0
    (line,) = (one for one in err.splitlines() if "scheduler_config.json" in one)
    assert line == f"diffx: note: no scheduler_config.json: {why}"
    assert not (run / "exports" / "0000-diffusers" / "scheduler_config.json").exists()


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


@DRY
def test_a_precision_that_cannot_hold_the_weights_is_refused(
    diffx, plane, monkeypatch, tmp_path, dry
):
    from diffx_cli.export.subject import Subject

    def weights(self):
        return {"layer.weight": torch.tensor([1e6])}

    monkeypatch.setattr(Subject, "weights", weights)
    out = tmp_path / "out"
    half = ("--format", "safetensors", "--dtype", "float16", "--out", out)
    code, _, err = diffx(plane, *half, *dry)
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


@DRY
def test_a_network_without_a_twin_is_refused(diffx, plane, dry):
    code, _, err = diffx(plane, "--format", "diffusers", *dry)
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
