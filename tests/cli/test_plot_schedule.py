"""`diffx plot-schedule`: true curves, in a picture that is whole or not there."""

import json
import math
from pathlib import Path

import pytest
import torch
from attrs import evolve
from PIL import Image

from diffx_cli.picture.schedule_figure import draw
from diffx_cli.picture.schedules import FARTHEST, curves_of
from diffx_core import Objective, ObjectiveOptions
from diffx_core.plugins import Registry
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP

SCHEDULERS = [one.name for one in Registry.load({}).all("scheduler")]


def curves(scheduler, **options):
    return curves_of("it", scheduler, Objective(ObjectiveOptions(**options)), 0.5)


def test_a_picture_is_drawn_and_named(diffx):
    result = diffx("plot-schedule", "--compare", "vesde,rectified_flow", "--json")
    assert result.rc == 0, result.err
    facts = json.loads(result.out)
    assert facts["picture"] == "schedule.png"
    assert facts["schedulers"] == [
        f"diffx-schedulers:{name}" for name in ("vpsde", "vesde", "rectified_flow")
    ]
    assert [path.name for path in Path.cwd().iterdir()] == ["schedule.png"]
    with Image.open("schedule.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("L").histogram()) == 256
        assert min(picture.size) > 500


def test_every_process_of_ours_can_be_drawn_in_one_picture(diffx):
    result = diffx("plot-schedule", "--compare", ",".join(SCHEDULERS), "--out", "all.svg")
    assert (result.rc, result.err) == (0, "")
    text = Path("all.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text for name in SCHEDULERS)


def test_options_are_part_of_the_name_in_the_picture(diffx):
    flags = ("--scheduler", "vesde", "--scheduler.sigma_max", "20", "--compare", "vesde")
    assert diffx("plot-schedule", *flags, "--out", "ve.svg").rc == 0
    text = Path("ve.svg").read_text(encoding="utf-8")
    assert "<!-- vesde sigma_max=20.0 -->" in text
    assert "<!-- vesde -->" in text


def test_the_objective_is_named_in_the_title(diffx):
    flags = ("--objective.prediction", "v", "--objective.weighting", "p2", "--out", "v.svg")
    assert diffx("plot-schedule", *flags).rc == 0
    assert "<!-- v (p2 weighting, uniform times), sigma_data 0.5 -->" in (
        Path("v.svg").read_text(encoding="utf-8")
    )


def test_other_predictions_are_drawn_beside_that_of_the_objective(diffx):
    assert diffx("plot-schedule", "--predictions", "eps,flow", "--out", "it.svg").rc == 0
    text = Path("it.svg").read_text(encoding="utf-8")
    eps, flow = (
        "eps (uniform weighting, uniform times)",
        "flow (flow weighting, logit_normal times)",
    )
    assert all(f"<!-- vpsde{what} -->" in text for what in ("", f" with {eps}", f" with {flow}"))


def test_names_of_any_length_are_within_the_picture():
    one, process = curves(VP()), VP()
    others = [evolve(curves(process), label=f"{'a long name ' * 20}{i}") for i in range(3)]
    figure = draw([one], others, "")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, page = legend.get_window_extent(), figure.bbox
    assert page.x0 <= box.x0 < box.x1 <= page.x1


def test_twenty_lines_have_different_colours():
    others = [evolve(curves(VP()), label=str(i)) for i in range(19)]
    _, _, weight, *_ = draw([curves(VP())], others, "").axes
    assert len({line.get_color() for line in weight.get_lines()}) == 20


def test_other_predictions_have_lines_of_their_own():
    process = VP()
    others = [curves(process, prediction=one) for one in ("eps", "flow")]
    path, _, weight, drift, _, density = draw([curves(process)], others, "").axes
    assert [len(axes.get_lines()) for axes in (weight, density, drift)] == [3, 3, 1]
    assert list(weight.get_lines()[1].get_ydata()) == others[0].weight.tolist()
    assert len(path.get_lines()) == 5  # alpha, sigma, and three samples for the legend


def test_the_curves_are_the_functions_of_the_process():
    process, found = VP(), curves(VP())
    assert torch.equal(found.alpha, process.alpha(found.t))
    assert torch.equal(found.diffusion, process.diffusion(found.t))
    assert (float(found.share[0]), float(found.share[-1])) == (0.0, 1.0)
    assert (found.t.diff() > 0).all()
    steps = found.t[found.even].diff()
    torch.testing.assert_close(steps, steps.mean().expand_as(steps))


@pytest.mark.parametrize("prediction", ["edm", "eps", "flow"])
@pytest.mark.parametrize("scheduler", [VP(), VE(), RectifiedFlow()], ids=["vp", "ve", "flow"])
def test_the_density_of_levels_is_one(scheduler, prediction):
    found = curves(scheduler, prediction=prediction)
    area = -float(torch.trapezoid(found.density, found.levels))
    beyond = scheduler.time_of(torch.tensor([FARTHEST, -FARTHEST], dtype=torch.float64))
    density = Objective(ObjectiveOptions(prediction=prediction)).density(scheduler, 0.5)
    low, high = density.cdf(beyond).tolist()
    # trapezoids of width 40 / 600: an error of width^2 / 12 times a curvature of about 0.1
    assert area == pytest.approx(high - low, abs=1e-3)


def test_the_weight_of_the_likelihood_is_the_same_everywhere():
    weight = curves(VP(), weighting="likelihood").weight
    torch.testing.assert_close(weight, torch.ones_like(weight), atol=1e-9, rtol=0)


@pytest.mark.parametrize("prediction", ["edm", "v", "x0"])
@pytest.mark.parametrize("scheduler", [VP(), VE(), RectifiedFlow()], ids=["vp", "ve", "flow"])
def test_the_weight_is_a_share_of_its_largest_where_training_looks(scheduler, prediction):
    found = curves(scheduler, prediction=prediction)
    assert float(found.weight[found.seen].max()) == 1.0
    declared = Objective(ObjectiveOptions(prediction=prediction)).effective_weight(
        scheduler, 0.5, scheduler.time_of(found.levels)
    )
    ratio = declared / found.weight
    torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-6, atol=0)


def test_singular_values_are_cut_at_the_frame():
    found = curves(RectifiedFlow())
    assert math.isinf(float(found.drift[-1]))
    figure = draw([found], [], "")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert high - low < 100


REFUSED = {
    "there already": (["--out", "there.png"], "there.png: is there already"),
    "no folder": (["--out", "no/where.png"], "there is no folder no"),
    "a folder": (["--out", "folder.png"], "is a folder"),
    "another format": (["--out", "it.jpeg"], "must end with .png, .pdf, .svg"),
    "unknown scheduler": (["--scheduler", "vpsdee"], "did you mean 'vpsde'"),
    "unknown comparison": (["--compare", "vesdee"], "--compare: unknown scheduler 'vesdee'"),
    "bad option": (["--scheduler.beta_min", "30"], "beta_min"),
    "unknown prediction": (["--predictions", "eps,epps"], "--predictions"),
    "option of another prediction": (
        ["--objective.times_mean", "0", "--predictions", "eps"],
        "times_mean",
    ),
    "bad objective": (["--objective.gamma", "3"], "gamma"),
}


@pytest.mark.parametrize(("flags", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(diffx, flags, reason):
    Path("there.png").write_text("precious")
    Path("folder.png").mkdir()
    before = sorted(Path.cwd().rglob("*"))
    result = diffx("plot-schedule", *flags)
    assert result.rc == 2
    assert reason in result.err
    assert not result.out
    assert sorted(Path.cwd().rglob("*")) == before
    assert Path("there.png").read_text() == "precious"


def test_everything_that_is_wrong_is_said_at_once(diffx):
    result = diffx("plot-schedule", "--compare", "vesdee,rectified_flo", "--out", "no/it.jpeg")
    assert result.rc == 2
    assert len(result.err.splitlines()) == 4


def test_a_picture_that_is_there_is_replaced_when_that_is_asked_for(diffx):
    Path("it.png").write_text("old")
    assert diffx("plot-schedule", "--out", "it.png", "--overwrite").rc == 0
    assert Path("it.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_left_behind_when_writing_fails(diffx, monkeypatch):
    def half(_, path, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half)
    result = diffx("plot-schedule")
    assert result.rc == 2
    assert "No space left" in result.err
    assert list(Path.cwd().iterdir()) == []


def test_a_process_that_fails_is_named(diffx, echo):
    source = """
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Echo(Scheduler):
    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        raise RuntimeError("no noise today")
"""
    (echo / "diffx_echo" / "echo.py").write_text(source)
    result = diffx("plot-schedule", "--compare", "echo")
    assert result.rc == 3
    assert "echo: RuntimeError: no noise today" in result.err
    assert list(Path.cwd().iterdir()) == []
