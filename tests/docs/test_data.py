"""The page about data is true: its example runs, its table lists what there is."""

import re
from pathlib import Path

from diffx_datasets.plugin import diffx_datasets

PAGE = (Path(__file__).parents[2] / "docs" / "training" / "data.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(source, "data.md", "exec"), {})
    out = capsys.readouterr().out
    assert "shape=(3, 32, 32), num_classes=2" in out
    assert "torch.Size([2, 3, 32, 32]) tensor([0, 1])" in out


def test_the_table_lists_every_dataset():
    named = " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", named)) == {r.name for r in diffx_datasets()}
