"""`diffx import-weights`: a file of others becomes a run that is sampled like any other."""

import argparse
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffx_core import Condition, Pipeline
from published import PlainDiT, fill
from published_unet import PlainUNet

RECORD = Path(__file__).parents[1] / "backbones" / "imports" / "diffusers.json"
LABEL = torch.tensor([0, 4])
X = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
T = 0.3


@pytest.fixture(scope="module")
def dit():
    return fill(
        PlainDiT(side=8, channels=3, outputs=6, patch=4, width=32, depth=2, heads=4, classes=5)
    )


@pytest.fixture
def dit_file(dit, tmp_path):
    file = tmp_path / "dit.pt"
    torch.save(dit.state_dict(), file)
    return file


def run(diffx, *arguments):
    result = diffx("import-weights", *map(str, arguments))
    assert result.rc == 0, result.err
    return result


@torch.no_grad()
def estimate(folder):
    return Pipeline.load(folder).denoiser(X, T, Condition(LABEL))


def test_an_imported_dit_says_the_noise_that_it_said(diffx, dit, dit_file):
    run(diffx, dit_file, "--backbone.heads", 4, "--out", "run")
    theirs = dit(X, torch.full((2,), 1000 * T - 1), LABEL)[:, :3]
    torch.testing.assert_close(estimate("run").eps, theirs, atol=1e-4, rtol=1e-4)


def test_an_imported_sit_says_the_data_that_it_said(diffx, dit, dit_file):
    run(diffx, dit_file, "--layout", "sit", "--backbone.heads", 4, "--out", "run")
    velocity = dit(X, torch.full((2,), 1 - T), LABEL)[:, :3]  # to the data, from x as it is
    torch.testing.assert_close(estimate("run").x0, X + T * velocity, atol=1e-4, rtol=1e-4)


def test_an_imported_unet_says_the_noise_that_it_said(diffx, tmp_path):
    theirs = fill(PlainUNet(outputs=6))
    torch.save(theirs.state_dict(), tmp_path / "unet.pt")
    told = ["--backbone", "ddpm_unet", "--backbone.heads", 4, "--shape", "3,8,8"]
    process = ["--scheduler", "ddpm", "--scheduler.table", "cosine"]
    run(diffx, tmp_path / "unet.pt", *told, *process, "--out", "run")
    expected = theirs(X, torch.full((2,), 1000 * T - 1))[:, :3]
    torch.testing.assert_close(estimate("run").eps, expected, atol=1e-4, rtol=1e-4)
    assert Pipeline.load("run").denoiser.scheduler.table == "cosine"


def test_an_imported_network_sees_x_as_it_is_under_another_process(diffx, tmp_path):
    theirs = fill(PlainUNet())
    torch.save(theirs.state_dict(), tmp_path / "unet.pt")
    told = ["--backbone", "ddpm_unet", "--backbone.heads", 4, "--shape", "3,8,8"]
    process = ["--scheduler", "rectified_flow", "--prediction", "flow"]
    done = run(diffx, tmp_path / "unet.pt", *told, *process, "--out", "run")
    assert "prediction flow" in done.out
    velocity = theirs(X, torch.full((2,), 1000 * T))
    torch.testing.assert_close(estimate("run").x0, X - T * velocity, atol=1e-4, rtol=1e-4)


def test_an_imported_run_is_sampled_like_any_other(diffx, dit_file):
    done = run(diffx, dit_file, "--backbone.heads", 4)
    assert "tensors of" in done.out
    assert "imported: runs/00000-imported-dit" in done.out
    sampled = diffx("sample", "--n", "10", "--nfe", "3", "--guidance.scale", "2", "--json")
    assert sampled.rc == 0, sampled.err
    assert Path("runs/00000-imported-dit/samples/0000-unipc/grid.png").is_file()


def test_what_becomes_of_learned_variances_is_said(diffx, dit_file):
    done = run(diffx, dit_file, "--backbone.heads", 4, "--dry-run")
    assert "note: the learned variances, the second half of the output, are left out" in done.err
    assert done.out.endswith("prediction eps; nothing was written\n")
    assert list(Path.cwd().iterdir()) == []


def test_json_tells_the_same(diffx, dit_file):
    told = json.loads(run(diffx, dit_file, "--backbone.heads", 4, "--json").out)
    assert (told["run"], told["layout"]) == ("runs/00000-imported-dit", "dit")
    assert told["record"]["components"]["backbone"]["options"]["width"] == 32
    assert told["record"]["sections"]["objective"]["sigma_data"] == 1.0


def test_a_training_script_keeps_the_average_besides_other_things(diffx, dit, tmp_path):
    raw = {name: torch.zeros_like(one) for name, one in dit.state_dict().items()}
    held = {
        "model": raw,
        "ema": {f"module.{name}": one for name, one in dit.state_dict().items()},
        "opt": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "args": argparse.Namespace(model="DiT-XL/2"),
    }
    torch.save(held, tmp_path / "0400000.pt")
    done = run(diffx, tmp_path / "0400000.pt", "--backbone.heads", 4, "--out", "run")
    assert "note: the weights are those named ema" in done.err
    theirs = dit(X, torch.full((2,), 1000 * T - 1), LABEL)[:, :3]
    torch.testing.assert_close(estimate("run").eps, theirs, atol=1e-4, rtol=1e-4)


@pytest.fixture
def pipeline(tmp_path):
    """A pipeline of diffusers, with weights in two files."""
    config, shapes, _ = json.loads(RECORD.read_text("utf-8"))["unet"].values()
    inner = tmp_path / "ddpm-small" / "unet"
    inner.mkdir(parents=True)
    (inner / "config.json").write_text(json.dumps(config), "utf-8")
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    names = sorted(tensors)
    for i, part in enumerate((names[:9], names[9:])):
        file = inner / f"diffusion_pytorch_model-{i}.safetensors"
        save_file({name: tensors[name] for name in part}, file)
    return inner.parent


def test_a_folder_of_diffusers_is_imported(diffx, pipeline):
    run(diffx, pipeline, "--backbone", "ddpm_unet", "--out", "run")
    assert Pipeline.load("run").spec.shape == (3, 8, 8)
    assert diffx("sample", "run", "--n", "2", "--steps", "2").rc == 0


@pytest.mark.parametrize("inside", ["", "unet"])
def test_a_folder_of_a_unet_says_which_backbone_takes_it(diffx, pipeline, inside):
    result = diffx("import-weights", str(pipeline / inside), "--dry-run")
    assert (result.rc, result.out, result.err.count("\n")) == (5, "", 1)
    assert result.err.endswith("it is a U-Net: take it with --backbone ddpm_unet\n")


def test_a_file_of_a_unet_says_which_backbone_takes_it(diffx, tmp_path):
    torch.save(fill(PlainUNet()).state_dict(), tmp_path / "unet.pt")
    result = diffx("import-weights", str(tmp_path / "unet.pt"), "--dry-run")
    assert result.err.endswith("it is a U-Net: take it with --backbone ddpm_unet\n")


def test_two_files_with_tensors_of_one_name_are_refused(diffx, pipeline):
    save_file({"conv_in.bias": torch.zeros(16)}, pipeline / "unet" / "other.safetensors")
    result = diffx("import-weights", str(pipeline), "--backbone", "ddpm_unet", "--dry-run")
    assert (result.rc, result.out, result.err.count("\n")) == (5, "", 1)
    names = "diffusion_pytorch_model-0.safetensors and other.safetensors"
    assert f"{names} both hold conv_in.bias" in result.err


@pytest.mark.parametrize("place", ["scheduler/scheduler_config.json", "unet/scheduler_config.json"])
def test_the_process_of_a_pipeline_is_taken_from_it(diffx, pipeline, place):
    said = {
        "_class_name": "DDIMScheduler",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
    }
    (pipeline / place).parent.mkdir(exist_ok=True)
    (pipeline / place).write_text(json.dumps(said), "utf-8")
    run(diffx, pipeline, "--backbone", "ddpm_unet", "--out", "run")
    denoiser = Pipeline.load("run").denoiser
    process = denoiser.scheduler
    assert (process.table, process.beta_end, process.zero_terminal_snr) == (
        "scaled_linear",
        0.012,
        True,
    )
    assert denoiser.prediction.name == "v"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"_class_name": "FlowMatch"}, "FlowMatch of beta_schedule None"),
        ({"beta_schedule": "linear", "num_train_timesteps": 50}, "num_train_timesteps 50"),
        ({"beta_schedule": "linear", "prediction_type": "flow"}, "prediction_type 'flow'"),
        ({"beta_schedule": "linear", "trained_betas": [0.1]}, "trained_betas"),
    ],
    ids=["process", "levels", "prediction", "betas"],
)
def test_a_process_that_is_not_known_has_to_be_said(diffx, pipeline, said, message):
    (pipeline / "unet" / "scheduler_config.json").write_text(json.dumps(said), "utf-8")
    asked = ["import-weights", str(pipeline), "--backbone", "ddpm_unet", "--dry-run"]
    result = diffx(*asked)
    assert result.rc == 2
    assert message in result.err
    assert "say the process with --scheduler" in result.err
    assert diffx(*asked, "--scheduler", "vpsde", "--prediction", "eps").rc == 0
    half = diffx(*asked, "--scheduler", "vpsde")
    assert half.rc == 2
    assert "--prediction: is required besides --scheduler" in half.err


def test_an_option_that_is_told_counts_even_if_it_is_the_default(diffx, tmp_path):
    config, shapes, _ = json.loads(RECORD.read_text("utf-8"))["dit"].values()
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    save_file(tensors, tmp_path / "weights.safetensors")

    def period(*told):
        done = json.loads(run(diffx, tmp_path, "--dry-run", "--json", *told).out)
        return done["record"]["components"]["backbone"]["options"]["noise_period"]

    assert period() > 10_000
    assert period("--backbone.noise_period", 10_000) == 10_000


def test_overwriting_has_to_be_said(diffx, dit_file):
    arguments = (dit_file, "--backbone.heads", 4, "--out", "run")
    run(diffx, *arguments)
    assert diffx("import-weights", *map(str, arguments)).rc == 2
    run(diffx, *arguments, "--overwrite")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_a_file_that_would_run_something_is_refused(diffx, tmp_path):
    torch.save({"x_embedder.proj.weight": Trap()}, tmp_path / "trap.pt")
    result = diffx("import-weights", str(tmp_path / "trap.pt"))
    assert (result.rc, result.out) == (5, "")
    assert "cannot be read as weights and nothing else" in result.err
    assert not Path("trapped").exists()
    assert "weights_only" not in result.err  # torch advises to run it all the same
    assert len(result.err.splitlines()) == 1


def damaged(path):
    path.write_bytes(b"PK\x03\x04 damaged")
    return path


def of_no_length(path):
    path.touch()
    return path


def empty(path):
    torch.save({"step": 3}, path)
    return path


def without_weights(path):
    path.mkdir()
    return path


def wrong_config(path):
    path.mkdir()
    save_file({"a": torch.zeros(1)}, path / "a.safetensors")
    (path / "config.json").write_text("[]", "utf-8")
    return path


FILES = {
    "nothing": ("a.pt", lambda path: path, "there is no such file or folder"),
    "a damaged file": ("a.pt", damaged, "cannot be read as weights and nothing else"),
    "a file of no length": ("a.pt", of_no_length, "nothing else (EOFError): it is damaged"),
    "damaged safetensors": ("a.safetensors", damaged, "cannot be read: "),
    "no tensors": ("a.pt", empty, "holds no tensors by name"),
    "an empty folder": ("folder", without_weights, "holds no weights"),
    "a config that is none": ("folder", wrong_config, "is no table of options"),
}


@pytest.mark.parametrize(("name", "make", "message"), FILES.values(), ids=FILES)
def test_what_is_no_file_of_weights_is_refused(diffx, tmp_path, name, make, message):
    result = diffx("import-weights", str(make(tmp_path / name)))
    assert (result.rc, result.out, result.err.count("\n")) == (5, "", 1)
    assert str(tmp_path / name) in result.err
    assert message in result.err


def test_what_does_not_fit_leaves_nothing(diffx, dit, tmp_path):
    tensors = dit.state_dict()
    tensors["blocks.0.attn.qkv.bias"] = torch.zeros(95)
    torch.save(tensors, tmp_path / "dit.pt")
    result = diffx("import-weights", str(tmp_path / "dit.pt"), "--backbone.heads", "4")
    assert result.rc == 5
    assert (
        "blocks.0.attn.qkv.bias (95,) does not fit blocks.0.attention.qkv.bias (96,)" in result.err
    )
    assert list(Path.cwd().iterdir()) == []


def test_heads_that_nobody_says_are_asked_for(diffx, dit_file):
    result = diffx("import-weights", str(dit_file))
    assert result.rc == 2
    assert "does not say how many heads: give --backbone.heads" in result.err


def test_a_network_that_takes_nothing_from_elsewhere_says_which_do(diffx, dit_file):
    result = diffx("import-weights", str(dit_file), "--backbone", "mlp")
    assert result.rc == 2
    assert "mlp (diffx-backbones 0.1.0) takes no weights from elsewhere" in result.err
    assert "ddpm_unet, dit" in result.err


def test_a_unet_without_forgetting_cannot_be_guided(diffx, tmp_path):
    torch.save(fill(PlainUNet(classes=5)).state_dict(), tmp_path / "unet.pt")
    told = ["--backbone", "ddpm_unet", "--backbone.heads", 4, "--shape", "3,8,8"]
    done = run(diffx, tmp_path / "unet.pt", *told, "--out", "run")
    assert "cannot be guided by classes" in done.err
    result = diffx("sample", "run", "--n", "2", "--guidance.scale", "2")
    assert result.rc == 2
    assert "label_dropout 0" in result.err
