"""Evaluation: figures with their protocol, between what real data get and what noise gets."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffx_cli.evaluate.findings import FOUND, Findings
from diffx_cli.evaluate.judging import Judge
from diffx_cli.evaluate.memory import Memory
from diffx_cli.output.claims import PARTIAL, held
from diffx_cli.picture.pictures import picture, to_bytes
from diffx_core import Pipeline
from diffx_core.engine.ranks import Ranks
from diffx_datasets.digits import Digits
from diffx_metrics.features import classifier

FEW = ["--reference", "300"]
QUICK = ["--n", "24", "--repeats", "2", "--nfe", "2", *FEW]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A classifier that is trained once for all tests, and not for long."""
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setattr(classifier, "EPOCHS", 12)


@pytest.fixture
def real(tmp_path):
    """A folder of real images, as `diffx sample` leaves it; one in ten has another's label."""
    digits, folder = Digits(size=8), tmp_path / "real"
    batch = digits.batch(torch.arange(300))
    (folder / "images").mkdir(parents=True)
    for i, one in enumerate(to_bytes(batch.x, digits.spec)):
        picture(one).save(folder / "images" / f"{i:05d}.png")
    labels = batch.cond.label.clone()
    labels[::10] = (labels[::10] + 1) % 10
    (folder / "sample.json").write_text(json.dumps({"labels": labels.tolist()}))
    return folder


def evaluated(diffx, *arguments):
    result = diffx("evaluate", *map(str, arguments), "--json")
    assert result.rc == 0, result.err
    return json.loads(result.out)


def figures(facts):
    return {one["figure"]: one for one in facts["figures"]}


def test_a_number_comes_with_its_protocol(diffx, digits_run):
    found = evaluated(diffx, digits_run, *QUICK, "--seed", "3", "--out", "numbers")
    file = Path("numbers/evaluation.json")
    assert {"evaluation": str(file), **json.loads(file.read_text())} == found
    assert (found["n"], found["repeats"], found["nfe"], found["seed"]) == (24, 2, 2, 3)
    assert found["step"] == 30
    assert found["sampler"]["name"] == "diffx-samplers:unipc"
    assert found["guidance"]["scale"] == 1.0
    assert found["reference"]["n"] == 300
    assert len(found["reference"]["fingerprint"]) == 64
    about = found["features"]["classifier"]
    assert about["name"] == f"classifier,{about['sha256'][:8]}"
    names = [one["name"] for one in found["figures"]]
    shown = ["FD", "KID", "precision", "recall", "density", "coverage"]
    assert names == [*(f"{one}[{about['name']}]" for one in shown), "SW2[values]"]
    for one in found["figures"]:
        assert len(one["values"]) == len(one["floor"]["values"]) == 2
        assert one["mean"] == pytest.approx(sum(one["values"]) / 2)
    assert all(figures(found)[one]["spread"] > 0 for one in ("FD", "KID", "SW2"))


def test_the_same_command_gives_the_same_numbers(diffx, digits_run):
    one, same, other = (
        evaluated(diffx, digits_run, *QUICK, "--seed", seed, "--out", out)
        for seed, out in (("0", "a"), ("0", "b"), ("1", "c"))
    )
    assert one["figures"] == same["figures"]
    assert one["label_accuracy"] == same["label_accuracy"]
    assert one["figures"] != other["figures"]


def test_numbers_do_not_depend_on_the_batch(diffx, digits_run):
    flags = digits_run, *QUICK, "--metrics", "frechet", "--features", "random"
    whole, parts = (
        evaluated(diffx, *flags, "--batch-size", size, "--out", f"of-{size}") for size in (256, 7)
    )
    assert figures(parts)["FD"]["mean"] == pytest.approx(figures(whole)["FD"]["mean"], rel=1e-4)


def test_real_images_are_near_the_floor_and_noise_is_the_ceiling(diffx, digits_run, real):
    found = figures(evaluated(diffx, digits_run, "--samples", real, "--out", "numbers"))
    for one in found.values():
        better, floor, ceiling = one["mean"], one["floor"]["mean"], one["ceiling"]["mean"]
        sign = 1 if one["lower_is_better"] else -1
        assert sign * better < sign * ceiling
        assert abs(better - floor) < 0.25 * abs(ceiling - floor)
        assert one["spread"] is None  # there is only one set of them


def test_images_are_classified_as_what_was_asked_for(diffx, digits_run, real):
    found = evaluated(diffx, digits_run, "--samples", real, "--out", "numbers")
    accuracy = found["label_accuracy"]
    assert 0.8 < accuracy["mean"] < 0.93  # one in ten was asked to be another
    assert accuracy["of_real"] > 0.9


def test_samples_of_diffx_are_read_with_their_labels(diffx, digits_run):
    assert diffx("sample", str(digits_run), "--n", "20", "--nfe", "2", "--out", "made").rc == 0
    found = evaluated(diffx, digits_run, "--samples", "made", "--out", "numbers")
    assert (found["n"], found["samples"]) == (20, "made")
    assert found["label_accuracy"] is not None


def test_points_are_measured_as_they_are(diffx, points_run):
    found = evaluated(diffx, points_run, *QUICK, "--out", "numbers")
    assert found["features"] == {"values": {"name": "values"}}
    assert found["label_accuracy"] is None
    assert figures(found)["SW2"]["mean"] > figures(found)["SW2"]["floor"]["mean"]


def test_samples_of_points_are_read(diffx, points_run):
    assert diffx("sample", str(points_run), "--n", "20", "--nfe", "2", "--out", "made").rc == 0
    found = evaluated(diffx, points_run, "--samples", "made", *FEW, "--out", "numbers")
    assert found["n"] == 20


def test_evaluations_are_numbered_in_the_folder_of_the_run(diffx, points_run):
    shutil.copytree(points_run, "run")
    for number in (0, 1):
        result = diffx("evaluate", "run", *QUICK, "--metrics", "sliced_wasserstein")
        assert result.rc == 0, result.err
        file = f"run/evaluations/{number:04d}-unipc/evaluation.json"
        assert result.out.rstrip().endswith(f"evaluation: {file}")
        assert Path(file).is_file()
    header, row, *_ = result.out.splitlines()
    assert header.split() == ["FIGURE", "VALUE", "REAL", "DATA", "NOISE", "BETTER"]
    assert row.startswith("SW2[values]")


def test_a_metric_has_its_options(diffx, digits_run):
    flags = "--metrics", "prdc,frechet", "--metric.neighbours", "3", "--features", "random"
    found = evaluated(diffx, digits_run, *QUICK, *flags, "--out", "numbers")
    assert figures(found)["recall"]["metric"]["options"] == {"neighbours": 3}
    assert figures(found)["FD"]["name"] == "FD[rand-conv,seed=0]"
    assert found["label_accuracy"] is None  # nobody was asked who knows the classes


def test_a_dry_run_measures_nothing(diffx, digits_run):
    result = diffx("evaluate", str(digits_run), *QUICK, "--dry-run", "--out", "numbers")
    shown = json.loads(result.out)
    assert shown["features"] == ["classifier"]
    assert shown["metrics"][0] == "diffx-metrics:frechet"
    assert not Path("numbers").exists()
    result = diffx("evaluate", str(digits_run), "--metrics", "fd_dinov2", "--dry-run")
    assert (result.rc, result.out) == (2, "")


@pytest.mark.parametrize(
    ("flags", "rc", "line"),
    [
        (["--features", "inception"], 2, "features inception: need --fid-weights weights-incep"),
        (["--fid-weights", "none.pth"], 4, "none.pth: cannot be read: No such file"),
        (["--fid-weights", "wrong.pth"], 4, "wrong.pth: is not weights-inception-2015-12-05"),
        (
            ["--fid-weights", "wrong.pth", "--features", "random"],
            2,
            "--fid-weights: is for features inception, and nothing is measured on them",
        ),
        (["--metrics", "fd_dinov2"], 2, "features dinov2: need --dinov2 FOLDER"),
        (["--metrics", "fd_dinov2", "--dinov2", "gone"], 4, "model.safetensors: cannot be read"),
        (
            ["--metrics", "inception_score", "--features", "random"],
            2,
            "needs a classifier, and features random know no classes",
        ),
        (["--vae", "gone"], 2, "--vae: is for models of latents, and this is none"),
        (["--n", "4"], 2, "PRDC needs at least 6 examples of either sort, got 4"),
        (["--metrics", "frechett"], 2, "did you mean 'frechet'?"),
        (["--samples", "gone"], 4, "--samples gone: "),
        (["--samples", "made", "--nfe", "5"], 2, "--samples and --nfe exclude each other"),
        (["--samples", "made", "--steps", "5"], 2, "--samples and --steps exclude each other"),
        (["--samples", "made", "--sampler.order", "2"], 2, "and --sampler.order exclude"),
        (["--samples", "made", "--guidance.scale", "2"], 2, "and --guidance.scale exclude"),
        (["--samples", "made", "--scheduler", "cosine"], 2, "--samples and --scheduler exclude"),
        (["--samples", "made", "--batch-size", "2"], 2, "--samples and --batch-size exclude"),
        (["--sampler", "heun", "--nfe", "0"], 2, "--nfe"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(diffx, digits_run, flags, rc, line):
    Path("wrong.pth").write_bytes(b"PK")
    result = diffx("evaluate", str(digits_run), *FEW, *flags, "--out", "numbers")
    assert (result.rc, result.out) == (rc, "")
    assert line in result.err
    assert len(result.err.splitlines()) == 1
    assert not Path("numbers").exists()


@pytest.mark.parametrize("features", ["classifier", "random"])
def test_points_have_no_features_of_images(diffx, points_run, features):
    result = diffx("evaluate", str(points_run), *QUICK, "--features", features)
    assert result.rc == 2
    assert f"features {features}: " in result.err


def test_labels_that_are_about_other_samples_are_refused(diffx, digits_run, real):
    (real / "sample.json").write_text(json.dumps({"labels": [1, 2]}))
    result = diffx("evaluate", str(digits_run), "--samples", str(real), "--out", "numbers")
    assert result.rc == 4
    assert "sample.json is about other samples than there are" in result.err


@pytest.mark.parametrize("label", [10, -1, None, "3", 0.5, True])
def test_labels_that_are_no_classes_of_the_data_are_refused(diffx, digits_run, real, label):
    (real / "sample.json").write_text(json.dumps({"labels": [0] * 299 + [label]}))
    result = diffx("evaluate", str(digits_run), "--samples", str(real), *FEW, "--out", "numbers")
    assert (result.rc, len(result.err.splitlines())) == (4, 1)
    assert f"has the label {json.dumps(label)}, and the model's data have 10 classes" in result.err


def without_place(facts):
    return {name: one for name, one in facts.items() if name != "evaluation"}


@pytest.fixture
def broken(monkeypatch):
    """Have the looking at a batch fail, the k-th from now; None for never."""
    look = Judge.look

    def arrange(number, error=KeyboardInterrupt):
        seen = []

        def looked(self, x):
            if len(seen) == number:
                raise error
            seen.append(len(x))
            return look(self, x)

        monkeypatch.setattr(Judge, "look", looked)
        return seen

    return arrange


PARTS = [*QUICK, "--metrics", "frechet,sliced_wasserstein", "--batch-size", "10"]


@pytest.mark.parametrize("named", [True, False], ids=["--out", "numbered"])
def test_what_was_ended_goes_on(diffx, digits_run, broken, named):
    shutil.copytree(digits_run, "run")
    whole = evaluated(diffx, "run", *PARTS, "--out", "whole")
    line = ["run", *PARTS, *(["--out", "part"] if named else [])]
    place = Path("part" if named else "run/evaluations/0000-unipc")
    broken(3)
    ended = diffx("evaluate", *line)
    assert ended.rc == 130
    assert f"{place}: keeps 30 of 48 samples; the same command goes on" in ended.err
    assert [one.name for one in place.iterdir()] == [FOUND]
    seen = broken(None)
    assert without_place(evaluated(diffx, *line)) == without_place(whole)
    assert seen == [10, 8]
    assert [one.name for one in place.iterdir()] == ["evaluation.json"]


def test_a_batch_that_was_damaged_is_drawn_again(diffx, digits_run, broken):
    line = str(digits_run), *PARTS, "--out", "part"
    whole = evaluated(diffx, str(digits_run), *PARTS, "--out", "whole")
    broken(3)
    assert diffx("evaluate", *line).rc == 130
    broken(None)
    damaged = Path("part") / FOUND / "parts" / "000001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:20])
    result = diffx("evaluate", *line)
    assert result.rc == 4
    assert f"{damaged}: is damaged: repeat the command, and this part is" in result.err
    assert not Path("part/evaluation.json").exists()
    seen = broken(None)
    assert without_place(evaluated(diffx, *line)) == without_place(whole)
    assert seen == [10]


def test_what_another_command_began_is_not_touched(diffx, digits_run, broken):
    line = str(digits_run), *PARTS, "--out", "part"
    broken(3)
    assert diffx("evaluate", *line).rc == 130
    seen = broken(None)
    other = diffx("evaluate", *line, "--seed", "1")
    assert other.rc == 2
    assert "part: holds samples that another command began" in other.err
    assert seen == []
    found = evaluated(diffx, *line, "--seed", "1", "--overwrite")
    assert found["seed"] == 1
    assert seen == [10, 10, 10, 10, 8]


def test_a_file_that_was_written_right_before_the_end_is_written_again(
    diffx, digits_run, monkeypatch
):
    line = str(digits_run), *PARTS, "--out", "part"
    discard = Findings.discard

    def killed(self):
        if (self.folder.parent / "evaluation.json").exists():
            raise KeyboardInterrupt
        discard(self)

    monkeypatch.setattr(Findings, "discard", killed)
    assert diffx("evaluate", *line).rc == 130
    monkeypatch.setattr(Findings, "discard", discard)
    before = json.loads(Path("part/evaluation.json").read_text())
    assert without_place(evaluated(diffx, *line)) == before
    assert not Path("part", FOUND).exists()


def test_a_second_process_in_the_same_place_is_told(diffx, digits_run):
    with held(Path("part")):
        result = diffx("evaluate", str(digits_run), *PARTS, "--out", "part")
    assert (result.rc, result.out) == (2, "")
    assert "--out part: another diffx is at work there" in result.err


@pytest.mark.slow
def test_a_process_that_is_killed_loses_the_batches_that_are_drawn(diffx, digits_run, rank_of):
    flags = ["--n", "100", "--repeats", "2", "--nfe", "20", *FEW, "--metrics", "frechet"]
    flags += ["--features", "random", "--batch-size", "10", "--device", "cpu"]
    whole = evaluated(diffx, digits_run, *flags, "--out", "whole")
    flags += ["--out", "part"]
    line = [sys.executable, "-m", "diffx_cli", "evaluate", str(digits_run), *flags, "--nproc", "2"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert any("80/200 samples" in said for said in process.stderr)
    os.kill(rank_of(process, 1), signal.SIGKILL)
    process.communicate()
    assert process.returncode == 128 + signal.SIGKILL
    assert [one.name for one in Path("part").iterdir() if one.name != PARTIAL] == [FOUND]
    there = 10 * len(list(Path("part", FOUND, "parts").glob("*.json")))
    assert 80 <= there < 200
    result = diffx("evaluate", str(digits_run), *flags)
    assert f"goes on after {there} of 200 samples" in result.err
    found = json.loads(Path("part/evaluation.json").read_text())
    assert found["reference"] == whole["reference"]
    for name, one in figures(found).items():
        assert one["mean"] == pytest.approx(figures(whole)[name]["mean"], rel=1e-3)
    nearness, other = (one["memorisation"]["nearness"]["mean"] for one in (found, whole))
    assert nearness == pytest.approx(other, rel=1e-3)


def test_copies_of_real_examples_are_seen(diffx, digits_run, real):
    memory = evaluated(diffx, digits_run, "--samples", real, "--out", "numbers")["memorisation"]
    assert memory["copied"]["mean"] == 1  # every one is an example of the data
    assert memory["copied"]["of_real"] < 0.02
    assert memory["nearness"]["mean"] == 0
    assert memory["reference"] == len(Digits())


def test_real_examples_that_are_all_there_twice_say_nothing_of_nearness():
    rows = torch.rand(40, 200, generator=torch.Generator().manual_seed(0)).repeat(2, 1) + 10
    memory = Memory.of([rows], 200, Ranks(), seed=0)
    seen = memory.see(rows[:5]).features
    assert torch.equal(seen, torch.zeros(5, 2))
    assert memory.facts([seen])["nearness"] is None


def test_new_examples_are_no_copies(diffx, digits_run, real):
    flipped = real.parent / "flipped"
    flipped.mkdir()
    for one in (real / "images").iterdir():
        with Image.open(one) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(flipped / one.name)
    memory = evaluated(diffx, digits_run, "--samples", flipped, "--out", "numbers")["memorisation"]
    assert memory["copied"]["mean"] < 0.02
    assert memory["nearness"]["mean"] > 1


LAMPS = '''
from attrs import frozen
from diffx_core import Batch, Dataset, DataSpec
import torch

@frozen(kw_only=True)
class Lamps(Dataset):
    """Images of two channels that are bright or dark, with texts."""

    @property
    def spec(self):
        return DataSpec((2, 4, 4), captions=True)

    def __len__(self):
        return 64

    def batch(self, index):
        x = (1 - 2.0 * (index % 2))[:, None, None, None].expand(-1, 2, 4, 4).clone()
        return Batch(x, index=index, captions=["it is off" if i % 2 else "it is on" for i in index])
'''
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_datasets():
    return [Component("lamps", "diffx_lamps.lamps:Lamps", "Small images with captions")]
"""


def test_samples_are_told_what_the_data_say(diffx, fake_distribution, monkeypatch):
    fake_distribution("diffx-lamps", {"plugin": PLUGIN, "lamps": LAMPS})
    small = ["--backbone", "dit", "--backbone.width", "16", "--backbone.depth=1"]
    short = ["--backbone.heads=1", "--train.batch-size", "16", "--train.steps", "2"]
    assert (
        diffx("train", "--dataset", "lamps", *small, *short, "--text", "bytes", "--out", "run").rc
        == 0
    )
    told, drawing = {}, Pipeline.drawing

    def watched(self, n, **how):
        told.update(how)
        return drawing(self, n, **how)

    monkeypatch.setattr(Pipeline, "drawing", watched)
    found = evaluated(diffx, "run", *QUICK, "--metrics", "frechet")
    assert figures(found)["FD"]["name"] == "FD[rand-conv,seed=0]"
    assert set(told["prompt"]) == {"it is on", "it is off"}


METRICS = '''
from typing import ClassVar

import attrs
from attrs import frozen
from diffx_core import Metric


@frozen
class Off(Metric):
    """How far the first feature is off, which it calls as another metric calls its own."""

    figures: ClassVar = ("FD",)
    lower_is_better: ClassVar = True

    def measure(self, made, real, *, seed):
        return {"FD": -7.0}


@frozen
class Lost(Off):
    """No number."""

    def measure(self, made, real, *, seed):
        return {"FD": float("nan")}


@frozen
class Other(Off):
    """A figure that it does not declare."""

    def measure(self, made, real, *, seed):
        return {"SD": 1.0}


@frozen
class Broken(Off):
    """None at all."""

    def measure(self, made, real, *, seed):
        raise KeyError("oops")
'''
METRICS_PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_metrics():
    names = ("off", "lost", "other", "broken")
    return [Component(one, f"diffx_gauge.found:{one.title()}", "For tests") for one in names]
"""


@pytest.fixture
def gauge(fake_distribution):
    """Metrics of a stranger."""
    fake_distribution("diffx-gauge", {"plugin": METRICS_PLUGIN, "found": METRICS})


@pytest.mark.usefixtures("gauge")
def test_two_metrics_may_have_a_figure_of_the_same_name(diffx, digits_run):
    flags = "--features", "random", "--metrics", "frechet,off"
    found = evaluated(diffx, digits_run, *QUICK, *flags, "--out", "numbers")["figures"]
    ours, theirs = found
    assert ours["name"] == theirs["name"] == "FD[rand-conv,seed=0]"
    assert theirs["mean"] == theirs["floor"]["mean"] == -7
    assert ours["mean"] > ours["floor"]["mean"] > 0


@pytest.mark.usefixtures("gauge")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lost", "FD is nan"),
        ("other", "measured SD, and declares FD"),
        ("broken", "KeyError: 'oops'"),
    ],
)
def test_a_metric_that_fails_is_blamed(diffx, digits_run, name, said):
    flags = "--features", "random", "--metrics", name, "--out", "numbers"
    result = diffx("evaluate", str(digits_run), *QUICK, *flags)
    assert result.rc == 3
    assert f"metric {name} (diffx-gauge 1.0): {said}" in result.err.splitlines()[-1]
    assert not Path("numbers/evaluation.json").exists()
