"""`diffx new-plugin`: what it makes is whole. It is installed by pip, tested, listed and used."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from PIL import Image

from diffx_cli.__main__ import main
from diffx_cli.new_plugin import SORTS

NAMES = {kind: f"my_{kind}" for kind in SORTS}


class Shop:
    """A folder with a package of each kind, and an environment in which all are installed."""

    def __init__(self, home):
        self.home = home
        self.python = home / "env" / "bin" / "python"

    def run(self, *arguments, cwd=None, program=None):
        environ = {"OMP_NUM_THREADS": "1", **os.environ}
        what = ("-m",) if program is None else ("-c", program)
        command = [str(one) for one in (self.python, *what, *arguments)]
        cwd = cwd or self.home
        return subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, text=True, check=False
        )

    def diffx(self, *arguments):
        done = self.run("diffx_cli", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def diffx_each(self, *lines):
        """Several commands in one process, which imports torch once."""
        program = "import sys; from diffx_cli.__main__ import main; "
        program += "[main(line.split()) and sys.exit(line) for line in sys.argv[1:]]"
        done = self.run(*lines, program=program)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    home = tmp_path_factory.mktemp("shop")
    made = [home / f"diffx-my-{kind}" for kind in SORTS]
    for kind, folder in zip(SORTS, made, strict=True):
        assert main(["new-plugin", kind, NAMES[kind], "--out", str(folder)]) == 0
    venv.create(home / "env")
    shop = Shop(home)
    # what is installed here is there too, as if it had been installed there
    (site,) = (home / "env").glob("lib/python*/site-packages")
    libraries = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({libraries!r})\n")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "--python", str(shop.python), "install", *options]
    done = subprocess.run([*pip, *made], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return shop


def test_each_is_listed_with_its_distribution(shop):
    rows = json.loads(shop.diffx("list-plugins", "--json"))
    found = {row["kind"]: row for row in rows if row["name"].startswith("my_")}
    assert {kind: row["name"] for kind, row in found.items()} == NAMES
    assert {row["status"] for row in found.values()} == {"ok"}
    assert {row["distribution"] for row in found.values()} == {f"diffx-my-{kind}" for kind in SORTS}


@pytest.mark.slow
def test_their_own_tests_pass(shop):
    strict = ("-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib")
    done = shop.run(
        "pytest", "-v", "--rootdir=.", *strict, *(f"diffx-my-{kind}/tests" for kind in SORTS)
    )
    assert done.returncode == 0, done.stdout
    passed = re.findall(r"^diffx-my-(\w+)/tests/\S+ PASSED", done.stdout, re.MULTILINE)
    assert set(passed) == {*SORTS}


@pytest.mark.parametrize("kind", SORTS)
def test_its_source_is_tidy(shop, kind):
    for tool in (
        ("check", "--select", "B,E,F,I,N,UP,RUF", "--no-cache", "."),
        ("format", "--check", "--no-cache", "."),
    ):
        done = shop.run("ruff", *tool, cwd=shop.home / f"diffx-my-{kind}")
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_their_source_is_typed(shop):
    sources = [f"diffx-my-{kind}/src" for kind in SORTS]
    done = shop.run("mypy", "--strict", "--cache-dir", os.devnull, *sources)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_all_of_them_make_a_model_that_samples(shop):
    photos = shop.home / "photos"
    photos.mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(photos / f"{colour}.png")
        (photos / f"{colour}.txt").write_text(f"a {colour} square")
    parts = "--scheduler my_scheduler --backbone my_backbone --dataset my_dataset"
    pictures = "--dataset image_folder --dataset.root photos --dataset.captions txt"
    shop.diffx_each(
        f"train {parts} --loggers my_logger --train.steps 20 --train.batch_size 32 --out run",
        "sample run --sampler my_sampler --nfe 8 --n 8 --out drawn",
        "evaluate run --metrics my_metric --features values --sampler my_sampler --nfe 4"
        " --n 32 --reference 32 --repeats 1 --out judged",
        f"train --text my_text {pictures} --backbone dit --backbone.width 32 --backbone.depth 1"
        " --train.steps 2 --train.batch_size 2 --out told",
        "sample told --prompt square --nfe 4 --n 2 --out prompted",
    )
    lines = (shop.home / "run" / "my_logger.txt").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("from step 0", "finished")
    record = json.loads((shop.home / "drawn" / "sample.json").read_text())
    assert "diffx-my-sampler:my_sampler" in json.dumps(record)
    assert "my_metric[" in (shop.home / "judged" / "evaluation.json").read_text()
    assert "diffx-my-text:my_text" in (shop.home / "told" / "config.yaml").read_text()
    assert (shop.home / "prompted" / "grid.png").stat().st_size > 0


@pytest.fixture
def diffx(capsys, tmp_path, monkeypatch):
    """Run `diffx new-plugin ARGUMENTS` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        rc = main(["new-plugin", *arguments])
        return rc, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scheduler", "vpsde"), "a scheduler vpsde (diffx-schedulers 0.1.0) already"),
        (("scheduler", "core"), "diffx-core is installed already"),
        (("scheduler", "my-sde"), "joined by underscores, got 'my-sde': try my_sde\n"),
        (("scheduler", "My"), "got 'My': try my\n"),
        (("scheduler", "3d"), "got '3d'\n"),
        (("scheduler", "my_"), "joined by underscores"),
        (("scheduler", "../x"), "lower-case"),
        (("scheduler", "a" * 51), "at most 50"),
        (("sampler", "none"), "'none' means something else already"),
        (("sampler", "lambda"), "'lambda' means something else already"),
        (("samplers", "x"), "needs one of scheduler, backbone, sampler"),
        (("sampler",), "--name: is required"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_name_that_cannot_be_used_or_is_taken_is_refused(diffx, arguments, said, tmp_path):
    rc, out, err = diffx(*arguments)
    assert (rc, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_kind_is_free(diffx):
    assert diffx("sampler", "vpsde")[0] == 0


@pytest.mark.parametrize("name", ["scheduler", "tensor", "a_b2"])
def test_the_class_has_a_name_of_its_own(diffx, name):
    assert diffx("scheduler", name)[0] == 0
    source = Path(f"diffx-{name.replace('_', '-')}/src/diffx_{name}/process.py").read_text()
    title = {"scheduler": "SchedulerScheduler", "tensor": "TensorScheduler", "a_b2": "AB2Scheduler"}
    assert f"class {title[name]}(Scheduler):" in source


def test_a_folder_that_holds_something_is_left_alone(diffx, tmp_path):
    (tmp_path / "diffx-x").mkdir()
    (tmp_path / "diffx-x" / "mine.txt").write_text("mine")
    rc, _, err = diffx("scheduler", "x")
    assert (rc, err.count("\n")) == (2, 1)
    assert "is not empty" in err
    assert [one.name for one in (tmp_path / "diffx-x").iterdir()] == ["mine.txt"]
    assert diffx("scheduler", "x", "--out", str(tmp_path / "diffx-x" / "mine.txt"))[0] == 2


def test_what_is_said_to_be_done_next_can_be_pasted(diffx):
    rc, out, _ = diffx("scheduler", "x", "--out", "my own")
    assert rc == 0
    lines = [line.partition(": ")[2] for line in out.splitlines()[-3:]]
    assert [shlex.split(line) for line in lines] == [
        ["pip", "install", "-e", "my own[test]"],
        ["pytest", "my own/tests"],
        ["diffx", "check-plugin", "x"],
    ]


def test_what_would_be_written_is_what_is_written(diffx, tmp_path):
    rc, planned, _ = diffx("dataset", "x", "--dry-run", "--json")
    assert rc == 0
    assert list(tmp_path.iterdir()) == []
    rc, made, _ = diffx("dataset", "x", "--json")
    assert rc == 0
    assert (json.loads(planned)["folder"], json.loads(made)["folder"]) == (None, "diffx-x")
    assert json.loads(planned)["files"] == json.loads(made)["files"]
    there = {
        file.relative_to(tmp_path / "diffx-x").as_posix()
        for file in (tmp_path / "diffx-x").rglob("*")
        if file.is_file()
    }
    assert there == set(json.loads(made)["files"])
