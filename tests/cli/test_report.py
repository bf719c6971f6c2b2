"""`diffx report`: a page that is true, that is whole in itself, and that says what is missing."""

import base64
import hashlib
import html
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from attrs import evolve
from PIL import Image

from diffx_cli.__main__ import main
from diffx_cli.output.claims import held
from diffx_cli.report.axis import Axis, written
from diffx_cli.report.series import pace, smoothed, thinned
from diffx_core import Pipeline

LIMIT = 5_000_000
SUMMARY = {"mean": 0.5, "spread": 0.25, "values": [0.25, 0.75]}
FIGURE = {
    "name": "FD[x]",
    "lower_is_better": True,
    **SUMMARY,
    "floor": {**SUMMARY, "mean": 0.125},
    "ceiling": {**SUMMARY, "mean": 64.0},
}
PROTOCOL = {
    "step": 4,
    "n": 10,
    "repeats": 2,
    "seed": 7,
    "nfe": 3,
    "features": {"x": {"name": "x,1234"}},
    "reference": {"n": 99},
    "guidance": {"scale": 2.5},
}
ACCURACY = {**SUMMARY, "mean": 0.875, "of_real": 0.9375}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with held-out examples and samples, that was resumed once."""
    run = tmp_path_factory.mktemp("trained") / "run"
    data = ["--dataset", "digits", "--dataset.size", "8", "--preset", "tiny"]
    size = ["--train.batch-size", "16", "--train.log-every", "1"]
    looks = ["--validate.every", "4", "--validate.examples", "16"]
    shows = ["--preview.every", "4", "--preview.n", "4", "--preview.nfe", "2"]
    all_of_it = ["train", *data, *size, *looks, *shows, "--device", "cpu", "--out", str(run)]
    assert main([*all_of_it, "--train.steps", "8", "--save.every", "4"]) == 0
    assert main([*all_of_it, "--train.steps", "12", "--save.every", "4"]) == 0
    return run


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    """The page of that run."""
    out = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", str(trained), "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8")


@pytest.fixture
def bare(trained, tmp_path):
    """A copy of the run without its checkpoints, to be changed."""
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("checkpoints", "latest", "best"))
    return copy


@pytest.fixture
def reported(diffx):
    """Makes the page of a run."""

    def report(run, *flags):
        done = diffx("report", str(run), *flags)
        assert done.rc == 0, done.err
        return (run / "report.html").read_text(encoding="utf-8")

    return report


def section(page, name):
    return re.search(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)[1]


def text(page, name):
    """The words of a section."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", section(page, name))).split())


def curves(page, title):
    """The points of the curves of a chart, by their names."""
    found = re.search(rf"<h3>{re.escape(title)}</h3>(.*?)</figure>", page, re.DOTALL)[1]
    points = json.loads(html.unescape(re.search(r'data-curves="([^"]*)"', found)[1]))
    names = re.findall(r"<i></i><span>([^<]*)</span>", found)
    return dict(zip(names, points, strict=False))


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def write(path, facts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), encoding="utf-8")


def rewrite(run, change):
    """Change the lines of the figures."""
    text = "".join(json.dumps(change(row)) + "\n" for row in rows(run))
    (run / "metrics.jsonl").write_text(text)


@pytest.mark.parametrize(("title", "key", "name"), [
    ("Loss", "loss", "loss of a step"),
    ("Loss", "validation_loss", "held-out examples"),
    ("Learning rate", "lr", "learning rate"),
    ("Norm of the gradient", "grad_norm", "of a step"),
])  # fmt: skip
def test_a_chart_has_the_figures_of_the_run(page, trained, title, key, name):
    known = [(row["step"], row[key]) for row in rows(trained) if key in row]
    np.testing.assert_allclose(curves(page, title)[name], known, rtol=1e-4)


def test_the_loss_of_every_noise_level_is_there(page, trained):
    looks = [row for row in rows(trained) if "bins" in row]
    shown = curves(page, "Held-out loss by log-SNR")
    assert len(shown) == len(looks[-1]["bins"])
    for place, points in enumerate(shown.values()):
        known = [(row["step"], row["bins"][place]["loss"]) for row in looks]
        np.testing.assert_allclose(points, known, rtol=1e-4)
    assert list(curves(page, "Held-out loss over log-SNR")) == ["step 4", "step 8", "step 12"]


def test_the_summary_says_what_was_trained(page, trained):
    best = json.loads((trained / "best").read_text())
    said = text(page, "summary")
    assert f"best held-out loss {best['value']:.4g} step {best['step']}" in said
    assert "steps 12 of 12, finished" in said
    assert "for examples of 1 x 8 x 8 numbers" in said
    assert "The run went on at step 9." in said
    assert "digits · unet · vpsde" in page


def test_the_samples_are_those_of_the_run(page, trained):
    frames = re.findall(r'data-label="(step \d+)"[^>]*><img src="data:image/png;base64,([^"]*)"',
                        section(page, "samples"))  # fmt: skip
    assert [label for label, _ in frames] == ["step 4", "step 8", "step 12"]
    for (_, data), file in zip(frames, sorted((trained / "samples").iterdir()), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(data))) as shown, Image.open(file) as known:
            assert (np.asarray(shown) == np.asarray(known)).all()


def test_samples_are_shown_on_their_way_out_of_the_noise(page):
    frames = re.findall(r'data-label="step (\d+) of 20".*?(data:image/\w+;base64,[^"]*)',
                        section(page, "denoising"))  # fmt: skip
    assert [int(step) for step, _ in frames] == list(range(1, 21))
    assert len({picture for _, picture in frames}) == 20


def test_a_film_that_is_there_is_shown_instead(reported, bare):
    folder = bare / "samples" / "0000-ddim"
    folder.mkdir()
    films = [Image.new("L", (8, 8), shade) for shade in range(0, 250, 5)]
    films[0].save(folder / "trajectory.gif", save_all=True, append_images=films[1:])
    shown = section(reported(bare), "denoising")
    assert shown.count("data:image/png") == 24
    assert "samples/0000-ddim/trajectory.gif" in shown


def test_the_process_is_drawn(page):
    paths = curves(page, "Signal and noise")
    times, alpha = np.array(paths["alpha"]).T
    np.testing.assert_allclose(alpha, np.exp(-(19.9 * times**2 / 4 + 0.1 * times / 2)), rtol=1e-3)


def test_configuration_and_environment_are_complete(page, trained):
    environment = json.loads((trained / "env.json").read_text())
    said = text(page, "environment")
    for name, version in environment["distributions"].items():
        assert f"{name} {version}" in said
    assert "label_dropout 0.1" in text(page, "configuration")
    assert html.escape((trained / "config.yaml").read_text()) in page


def test_nothing_is_loaded_from_anywhere(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        held_text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        known = base64.b64encode(hashlib.sha256(held_text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{known}'" in policy
    loaded = re.findall(r'(?:src|href|action|data)="([^"]*)"', page)
    assert {one[:5] for one in loaded if not one.startswith("#")} == {"data:"}
    assert not re.search(r"\son\w+=|\sstyle=|url\(|@import", page.partition("<body>")[2])


def test_no_text_of_a_run_is_taken_for_the_page_s_own(reported, bare):
    evil = '"><script>alert(1)</script>'
    run = bare.rename(bare.with_name("<img src=x onerror=alert(1)>"))
    facts = json.loads((run / "env.json").read_text())
    write(run / "env.json", {**facts, "argv": [evil], evil: {evil: evil}})
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config + f"note: {json.dumps(evil)}\n")
    named = {**FIGURE, "name": evil}
    one = {**PROTOCOL, "sampler": {"name": evil}, "figures": [named], "label_accuracy": None}
    write(run / "evaluations" / "0000" / "evaluation.json", one)
    cells = [{"label": evil, "nfe": 3, "figures": [named]}]
    write(run / "comparisons" / "0000" / "comparison.json", {**PROTOCOL, "cells": cells})
    made = reported(run)
    assert made.count("<script") == 1
    assert made.count("<img src=x") == 0
    assert made.count(html.escape(evil).replace("&quot;", "&#34;")) >= 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in made


def test_a_page_stays_small_however_long_the_run_was(reported, bare):
    line = {"loss": 0.5, "lr": 1e-3, "grad_norm": 1.0, "examples_per_second": 123.456}
    bins = [{"low": i - 0.5, "high": i + 0.5, "loss": 0.1234567, "count": 9} for i in range(8)]
    with (bare / "metrics.jsonl").open("w") as file:
        for step in range(1, 30_001):
            changed = {"step": step, **line, "seconds": step * 0.1, "loss": 1 + (step % 977) / 976}
            file.write(json.dumps(changed) + "\n")
            if step % 20 == 0:
                look = {"step": step, "validation_loss": 0.5 + step % 7, "bins": bins}
                file.write(json.dumps(look) + "\n")
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    for step in range(30):
        picture = Image.fromarray(np.roll(noise, step, 0))
        picture.save(bare / "samples" / f"step-{step:08d}.png", compress_level=0)
    made = reported(bare)
    assert len(made.encode()) < LIMIT
    shown = re.findall(r'data-label="step (\d+)"', section(made, "samples"))
    assert (len(shown), shown[0], shown[-1]) == (24, "0", "29")
    steps = curves(made, "Loss")
    assert max(y for _, y in steps["loss of a step"]) == 2.0
    assert [x for x, _ in steps["loss of a step"]][-1] == 30_000


def test_what_there_is_not_is_said(reported, bare):
    for name in ("metrics.jsonl", "env.json"):
        (bare / name).unlink()
    shutil.rmtree(bare / "samples")
    made = reported(bare)
    for name, words in {
        "summary": "There is no checkpoint: the weights have not been saved.",
        "loss": "No step has been logged yet",
        "training": "Learning rate: nothing has been logged yet.",
        "samples": "No samples were drawn while it trained: --preview.every N does",
        "denoising": "The model cannot be sampled for this page",
        "evaluations": "diffx evaluate RUN does",
        "comparisons": "diffx compare RUN does",
        "environment": "There is no env.json",
    }.items():
        assert words in text(made, name), name
    assert "Signal and noise" in made


def test_a_run_that_is_still_trained_is_shown(reported, bare):
    with held(bare), (bare / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "lo')
        file.flush()
        said = text(reported(bare, "--no-draw"), "summary")
    assert "still training" in said
    assert "damaged" not in said
    assert "ended" not in said


def test_a_run_that_failed_says_where(reported, bare):
    rewrite(bare, lambda row: {**row, "loss": None} if row["step"] > 9 and "loss" in row else row)
    config = (bare / "config.yaml").read_text()
    (bare / "config.yaml").write_text(config.replace("steps: 12", "steps: 50"))
    made = reported(bare, "--no-draw")
    said = text(made, "summary")
    assert "of 50, ended early" in said
    assert "The run ended after step 12 of 50, and could not say why." in said
    assert "The loss was not finite at step 10, 11, 12." in said
    assert made.count("was not finite</title>") >= 3


@pytest.mark.parametrize(("flags", "steps", "why"), [
    (("--validate.patience", "1", "--validate.min-change", "9"), 4, "no better loss of held-out"),
    (("--train.hours", "1e-9"), 1, "1e-09 hours are over."),
])  # fmt: skip
def test_a_run_that_an_option_ended_says_which(reported, diffx, flags, steps, why):
    data = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "8"]
    size = ["--train.steps", "50", "--validate.every", "2", "--validate.examples", "16"]
    where = ["--device", "cpu", "--out", "run"]
    assert diffx("train", *data, *size, *where, *flags).rc == 0
    made = reported(Path("run"), "--no-draw")
    said = text(made, "summary")
    assert "of 50, ended as asked" in said
    assert f"The run ended after step {steps} of 50: {why}" in said
    assert "alarming" not in section(made, "summary")


def test_a_run_that_an_error_ended_says_which(reported, bare):
    with (bare / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "ended": "there is <no> room"}\n')
    said = text(reported(bare, "--no-draw"), "summary")
    assert "of 12, ended early" in said
    assert "The run ended after step 12 of 12: there is <no> room." in said


def test_lines_that_are_damaged_are_said(reported, bare):
    whole = (bare / "metrics.jsonl").read_text().splitlines()
    (bare / "metrics.jsonl").write_text("\n".join([*whole[:3], "#?", "[1]", *whole[4:], ""]))
    write(bare / "evaluations" / "0000" / "evaluation.json", [1])
    (bare / "samples" / "step-00000008.png").write_bytes(b"no picture")
    made = reported(bare, "--no-draw")
    said = text(made, "summary")
    assert "metrics.jsonl: damaged; the figures of 2 lines are lost" in said
    assert "evaluation.json of 0000: cannot be read" in said
    assert "samples/step-00000008.png: is no picture" in text(made, "samples")


def test_figures_of_any_kind_are_drawn_or_left_out(reported, bare):
    strange = [None, "0.5", 1e308, -1e308, True, [], 0, 5e-324, 10**400]
    lines = "".join(
        json.dumps({"step": i, "loss": one, "lr": one, "grad_norm": one, "seconds": one}) + "\n"
        for i, one in enumerate(strange)
    )
    (bare / "metrics.jsonl").write_text(lines + '{"step": 3, "bins": [3], "validation_loss": 1}\n')
    assert [y for _, y in curves(reported(bare, "--no-draw"), "Loss")["loss of a step"]] == [0, 0]


def test_points_are_shown_on_their_way(reported, points_run):
    made = reported(points_run)
    shown = section(made, "denoising")
    assert shown.count("<svg") == 20
    assert len(set(re.findall(r'class="dot tone-0" d="([^"]*)"', shown))) == 40  # two panels each
    assert "mlp" in made


def test_latents_are_said_to_be_no_pictures(reported, trained, tmp_path, monkeypatch):
    def load(*args, **options):
        found = Pipeline.load(*args, **options)
        return evolve(found, spec=evolve(found.spec, shape=(4, 8, 8)))

    monkeypatch.setattr("diffx_cli.report.model.Pipeline", SimpleNamespace(load=load))
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    said = text(reported(copy), "denoising")
    assert "those of this model are 4 x 8 x 8 numbers" in said


def test_a_model_of_pairs_is_said_to_need_images(reported, diffx):
    for folder in ("sharp", "blurred"):
        Path(folder).mkdir()
        for i in range(2):
            Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(Path(folder, f"{i}.png"))
    data = ["--dataset", "image_folder", "--dataset.root", "sharp", "--dataset.beside", "blurred"]
    small = ["--dataset.size", "8", "--preset", "tiny", "--train.steps", "1"]
    assert diffx("train", *data, *small, "--train.batch-size", "2", "--out", "run").rc == 0
    assert "diffx sample --beside IMAGES --trajectory" in text(reported(Path("run")), "denoising")


def test_an_evaluation_is_a_table_with_its_protocol(reported, bare):
    sampler = {"name": "diffx-samplers:heun"}
    memory = {"copied": {**SUMMARY, "of_real": 0.0625}, "nearness": None}
    one = {**PROTOCOL, "sampler": sampler, "figures": [FIGURE], "label_accuracy": ACCURACY}
    write(bare / "evaluations" / "0000-heun" / "evaluation.json", {**one, "memorisation": memory})
    said = text(reported(bare, "--no-draw"), "evaluations")
    assert "FD[x] 0.5 ± 0.25 0.125 ± 0.25 64 ± 0.25 lower" in said
    assert "of the class asked for 0.875 ± 0.25 0.9375 higher" in said
    assert "copies of real data 0.5 ± 0.25 0.0625 lower" in said
    assert (
        "step 4; heun, 3 network calls; 2 x 10 samples; against 99 real examples; features x,1234;"
        " guidance 2.5; seed 7" in said
    )


def test_a_comparison_is_a_table_and_a_chart(reported, bare):
    cells = [
        {"label": name, "nfe": nfe, "figures": [{**FIGURE, "mean": nfe / 8}]}
        for name in ("ddim", "heun")
        for nfe in (10, 5)
    ]
    cells.append({"label": "heun", "nfe": 3, "refused": "heun calls it an even number of times"})
    write(bare / "comparisons" / "abc" / "comparison.json", {**PROTOCOL, "cells": cells})
    made = reported(bare, "--no-draw")
    drawn = curves(made, "FD[x], lower is better")
    assert drawn["ddim"] == drawn["heun"] == [[5, 0.625], [10, 1.25]]
    said = text(made, "comparisons")
    assert "heun 3 heun calls it an even number of times" in said
    assert "FD[x] of real data 0.125 ± 0.25, of noise 64 ± 0.25" in said


def test_a_component_that_is_gone_costs_only_what_needs_it(reported, bare):
    config = (bare / "config.yaml").read_text()
    (bare / "config.yaml").write_text(config.replace("diffx-schedulers:", "diffx-gone:"))
    made = reported(bare)
    assert "pip install diffx-gone" in text(made, "schedule")
    assert "loss of a step" in section(made, "loss")


def test_the_result_is_told_to_programs(diffx, trained, tmp_path):
    out = tmp_path / "page.html"
    done = diffx("report", str(trained), "--out", str(out), "--no-draw", "--json")
    told = json.loads(done.out)
    assert told["report"] == str(out)
    assert told["bytes"] == out.stat().st_size
    missing = {name for name, there in told["sections"].items() if not there}
    assert missing == {"denoising", "evaluations", "comparisons"}


def test_a_dry_run_writes_nothing(diffx, bare):
    before = sorted(bare.rglob("*"))
    done = diffx("report", str(bare), "--dry-run")
    assert json.loads(done.out)["report"] == str(bare / "report.html")
    assert sorted(bare.rglob("*")) == before


def test_the_page_of_a_run_is_made_anew_and_that_of_somebody_else_is_not(diffx, bare):
    assert diffx("report", str(bare), "--no-draw").rc == 0
    assert diffx("report", str(bare), "--no-draw").rc == 0
    Path("page.html").write_text("mine")
    done = diffx("report", str(bare), "--no-draw", "--out", "page.html")
    assert (done.rc, Path("page.html").read_text()) == (2, "mine")
    assert "--overwrite replaces it" in done.err
    assert diffx("report", str(bare), "--no-draw", "--out", "page.html", "--overwrite").rc == 0
    assert Path("page.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 5, "nowhere: there is no such run: config.yaml is not there"),
        (["."], 5, "is no run: config.yaml is not there"),
        ([], 5, "there is no finished run"),
        (["{run}", "--out", "page.txt"], 2, "--out page.txt: must end with .html"),
        (["{run}", "--out", "no/page.html"], 2, "--out no/page.html: there is no folder no"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_a_line(diffx, trained, words, code, said):
    done = diffx("report", *(word.format(run=trained) for word in words))
    assert done.rc == code
    assert said in done.err
    assert done.err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


def test_a_page_for_which_there_is_no_room_is_not_there_by_half(diffx, bare, limited):
    before = sorted(bare.rglob("*"))
    limited(1000)
    done = diffx("report", str(bare), "--no-draw")
    limited(10**9)
    assert done.rc == 2
    assert "cannot be written" in done.err
    assert sorted(bare.rglob("*")) == before


def test_a_curve_with_fewer_points_keeps_its_extremes():
    values = np.random.default_rng(0).normal(size=10_000).cumsum()
    values[4321], values[8765] = 1e3, -1e3
    curve = list(enumerate(values.tolist()))
    few = thinned(curve, 200)
    assert len(few) <= 200
    assert set(few) <= set(curve)
    assert {curve[0], curve[4321], curve[8765], curve[-1]} <= set(few)
    assert few == sorted(few)


def test_a_smooth_curve_has_the_mean_of_the_other():
    curve = [(float(i), float(i % 2)) for i in range(1000)]
    assert [y for _, y in smoothed(curve, 100)] == [0.5] * 100
    assert smoothed(curve[:150], 100) == []


def test_the_speed_is_that_between_two_lines():
    told = [(1, 2.0, 10.0), (2, 4.0, 10.0), (3, 5.0, 12.0), (4, 1.0, 7.0)]
    lines = [{"step": i, "seconds": s, "examples_per_second": v} for i, s, v in told]
    assert pace(lines) == [(1, 10.0), (2, 10.0), (3, 20.0), (4, 7.0)]


@pytest.mark.parametrize("values", [
    [0.0, 1.0], [5.0], [-3.0, 7.0], [1e-9, 1e9], [0.1, 0.9], [1e5, 1e5 + 1], [0.0], [1e-12, 2e-12],
])  # fmt: skip
def test_an_axis_holds_its_values_and_writes_some(values):
    axis = Axis.over(values)
    shares = [axis.share(one) for one in values]
    assert shares == sorted(shares)
    assert min(shares) >= 0
    assert max(shares) <= 1
    ticks = axis.ticks()
    assert len(ticks) >= 2
    assert all(-1e-6 <= axis.share(one) <= 1 + 1e-6 for one in ticks)
    assert len(set(written(ticks))) == len(ticks)
