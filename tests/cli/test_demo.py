"""The demo, with a recipe that takes no time."""

from pathlib import Path

from diffx_cli.commands import demo
from diffx_core.options import DEFAULT_SAMPLER


def test_the_demo_trains_samples_and_says_where_the_picture_is(diffx, monkeypatch):
    small = {"dataset": "toy2d", "backbone": "mlp", "train.steps": "2", "train.batch_size": "8"}
    monkeypatch.setattr(demo, "TRAINED", small)
    monkeypatch.setattr(demo, "SAMPLED", {"steps": "2", "n": "4"})
    result = diffx("demo", "--out", "here", "--seed", "3")
    assert result.rc == 0, result.err
    last = result.out.splitlines()[-1]
    assert last.startswith("the picture: ")
    picture = Path(last.removeprefix("the picture: "))
    assert picture == (Path("here") / "samples" / f"0000-{DEFAULT_SAMPLER}" / "grid.png").resolve()
    assert picture.stat().st_size > 0
