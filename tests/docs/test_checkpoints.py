"""The page about checkpoints is true: its code prints what it says, and its files are there."""

import re
from pathlib import Path

import torch

from diffx_core.engine.saving import Snapshot, save_checkpoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "checkpoints.md").read_text(encoding="utf-8")


def test_the_code_prints_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (printed,) = re.findall(r"```\n\n```\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(source, "checkpoints.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_table_has_every_file(tmp_path):
    one = {"w": torch.ones(1)}
    folder = save_checkpoint(tmp_path, Snapshot(step=1, weights=one, ema=one, training=one))
    rows = re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(path.name for path in folder.iterdir())


def test_the_page_is_linked():
    assert "](docs/training/checkpoints.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
