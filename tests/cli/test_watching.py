"""The pictures of a run: its samples, and its losses from the first step on."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_cli.train.watching import LossCurve, SampleGrids, loss_figure
from diffx_core.engine.events import Finished, Sampled, Saved, Started


def lines(figure):
    (axes,) = figure.axes
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_samples_are_one_picture_of_their_step(tmp_path):
    images = torch.arange(5 * 3 * 64 * 64).remainder(251).to(torch.uint8).view(5, 3, 64, 64)
    SampleGrids(tmp_path / "samples")(Sampled(1000, images))
    (file,) = (tmp_path / "samples").iterdir()
    assert file.name == "step-00001000.png"
    with Image.open(file) as image:
        page = np.asarray(image)
    assert page.shape == (2 * 66 + 2, 3 * 66 + 2, 3)
    assert np.array_equal(page[2:66, 68:132], images[1].permute(1, 2, 0).numpy())
    assert np.array_equal(page[68:132, 68:132], images[4].permute(1, 2, 0).numpy())


def test_samples_of_steps_that_are_taken_again_are_removed(tmp_path):
    names = ("step-00000004.png", "step-00000008.png", "step-00000012.png", "step-notes.png")
    for name in names:
        (tmp_path / name).touch()
    watch = SampleGrids(tmp_path)
    watch(Started(20, 4, 100, step=8))
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[:2], names[3]]
    SampleGrids(tmp_path / "none")(Started(20, 4, 100))


def test_the_curve_has_the_losses_their_mean_and_the_held_out_ones():
    rows = [{"step": step, "loss": 1.0 / step} for step in range(1, 201)]
    rows += [{"step": 100, "validation_loss": 0.5}, {"step": 200, "validation_loss": 0.25}]
    drawn = lines(loss_figure(rows))
    assert drawn["loss of a step"] == [[step, 1.0 / step] for step in range(1, 201)]
    assert drawn["mean of 2"][0] == [1.5, 0.75]
    assert len(drawn["mean of 2"]) == 100
    assert drawn["held-out examples"] == [[100.0, 0.5], [200.0, 0.25]]


@pytest.mark.parametrize(
    ("last", "numbers"),
    [(0.2, ["0.2", "0.3", "0.5", "0.7", "1"]), (0.5, [f"{n / 10:g}" for n in range(5, 11)])],
)
def test_a_narrow_logarithmic_axis_has_plain_numbers(last, numbers):
    figure = loss_figure([{"step": 1, "loss": 1.0}, {"step": 2, "loss": last}])
    axis = figure.axes[0].yaxis
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    ticks = [(one.get_loc(), one.label1.get_text()) for one in axis.get_major_ticks()]
    assert [text for place, text in ticks if low <= place <= high] == numbers
    assert not axis.get_minor_ticks()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "loss": None}],
        [{"step": 1, "loss": -1.0}],
        [{"step": 1, "validation_loss": 0.5}],
    ],
)
def test_a_curve_of_next_to_nothing_is_drawn(rows, tmp_path):
    loss_figure(rows).savefig(tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as image:
        assert image.size == (800, 500)


def test_the_curve_is_drawn_with_a_checkpoint_and_at_the_end_when_there_is_news(tmp_path):
    metrics, path = tmp_path / "metrics.jsonl", tmp_path / "loss.png"
    curve = LossCurve(metrics, path, share=1, first=0)

    def is_drawn(event):
        path.unlink(missing_ok=True)
        curve(event)
        return path.exists()

    def learn(step):
        with metrics.open("a") as file:
            file.write(json.dumps({"step": step, "loss": 1.0}) + "\n")

    assert not is_drawn(Saved(0, tmp_path))
    learn(10)
    assert not is_drawn(Sampled(10, torch.zeros(1, 1, 8, 8, dtype=torch.uint8)))
    assert is_drawn(Saved(10, tmp_path))
    assert not is_drawn(Finished(10, 1.0))
    learn(20)
    assert is_drawn(Finished(20, 2.0))
    assert {file.name for file in tmp_path.iterdir()} == {"metrics.jsonl", "loss.png"}


def test_drawing_takes_little_of_a_runs_time(tmp_path):
    metrics, path = tmp_path / "metrics.jsonl", tmp_path / "loss.png"
    metrics.write_text(json.dumps({"step": 1, "loss": 1.0}) + "\n")
    curve = LossCurve(metrics, path, share=1e-9, first=0)
    curve(Saved(1, tmp_path))
    path.unlink()
    metrics.write_text(metrics.read_text() * 2)
    curve(Saved(2, tmp_path))
    assert not path.exists()
    curve(Finished(2, 1.0))
    assert path.exists()
