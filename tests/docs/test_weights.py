"""The page about weights from elsewhere is true: its commands and its code run."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffx_backbones.imports import ddpm_unet, dit_names
from diffx_cli.__main__ import main
from diffx_core import ForeignWeights
from published import PlainDiT, fill
from published_unet import PlainUNet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "weights.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
ROWS = re.findall(r"^\| `(\w+)` \|[^|]*\| `(\w+)` \| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
RECORD = ROOT / "tests" / "backbones" / "imports" / "diffusers.json"


def place_files():
    """Small networks under the names of the page."""
    small = PlainDiT(side=8, width=128, depth=3, heads=2)
    for name in ("DiT-XL-2-256x256.pt", "SiT-XL-2-256.pt"):
        torch.save(fill(small).state_dict(), name)
    torch.save(fill(PlainUNet(outputs=6)).state_dict(), "lsun_bedroom.pt")
    torch.save(fill(PlainUNet(outputs=6, classes=9)).state_dict(), "64x64_diffusion.pt")
    config, shapes, _ = json.loads(RECORD.read_text("utf-8"))["ddpm"].values()
    folder = Path("ddpm-cifar10-32")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")


def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place_files()
    for command in COMMANDS:
        assert main([*shlex.split(command)]) == 0, capsys.readouterr().err
    assert Path("runs/dit/samples/0000-unipc/samples.safetensors").is_file()
    made = {
        Path(f"runs/{name}/latest").is_file() for name in ("sit", "cifar10", "bedroom", "imagenet")
    }
    assert made == {True}


def test_the_table_has_every_layout():
    assert {(layout, backbone) for layout, backbone, *_ in ROWS} == {
        *((layout, "dit") for layout in dit_names.LAYOUTS),
        *((layout, "ddpm_unet") for layout in ddpm_unet.LAYOUTS),
    }


@pytest.mark.parametrize("layout", ["dit", "sit"])
def test_the_table_says_what_is_recorded(layout):
    from diffx_backbones.dit import DiT

    tensors = fill(PlainDiT(side=8, width=32, depth=1, heads=1)).state_dict()
    told = {"layout": layout, "options": {"heads": 1}}
    found = DiT.import_weights(ForeignWeights(path="x.pt", tensors=tensors, **told))
    assert (layout, "dit", found.scheduler, found.prediction) in ROWS


def test_the_code_runs():
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(compile(source, "weights.md", "exec"), names)
    tensors = {"net.w": torch.eye(2), "net.b": torch.ones(2)}
    found = names["Line"].import_weights(ForeignWeights(path="x.pt", tensors=tensors))
    network = names["Line"](found.spec)
    network.load_state_dict(found.weights)
    assert torch.equal(network(torch.zeros(1, 2), torch.zeros(1), None), torch.ones(1, 2))


def test_the_page_is_linked():
    link = "](docs/training/weights.md)"
    assert link in (ROOT / "README.md").read_text(encoding="utf-8")
