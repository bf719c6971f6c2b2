"""The example plugins beyond alpha and sigma, installed by pip, work from the command line."""

import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"
COMPONENTS = {"diffx-bridge": "bridge", "diffx-ouve": "ouve", "diffx-pfgmpp": "pfgmpp"}
PLANE = ("--backbone", "mlp", "--dataset", "toy2d", "--dataset.points", "256")
SMALL = ("--train.steps", "20", "--train.batch_size", "32")


@pytest.fixture
def diffx(shell, installed_examples):
    """Run `diffx ARGUMENTS` with the packages installed."""
    return lambda *arguments: shell("diffx_cli", *arguments, path=[installed_examples])


def test_there_are_no_others():
    assert {folder.name for folder in EXAMPLES.glob("diffx-*")} == {"diffx-cosh", *COMPONENTS}


def test_all_are_listed(diffx):
    rows = json.loads(diffx("list-plugins", "--kind", "scheduler", "--json").stdout)
    found = {row["distribution"]: (row["name"], row["status"]) for row in rows}
    assert {name: found[name] for name in COMPONENTS} == {
        name: (component, "ok") for name, component in COMPONENTS.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPONENTS)
def test_its_own_tests_pass_against_the_installed_copy(name, shell, installed_examples, tmp_path):
    for part in ("tests", "README.md"):
        copy = shutil.copytree if (EXAMPLES / name / part).is_dir() else shutil.copy
        copy(EXAMPLES / name / part, tmp_path / part)
    tests = str(tmp_path / "tests")
    done = shell("pytest", tests, "-p", "no:cacheprovider", path=[installed_examples])
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("bridge", "--scheduler.end", "zero"), ("pfgmpp", "--scheduler.D", "4")],
    ids=["bridge", "pfgmpp"],
)
def test_it_trains_and_samples_by_name(diffx, tmp_path, options):
    run, drawn = tmp_path / "run", tmp_path / "samples"
    trained = diffx("train", "--scheduler", *options, *PLANE, *SMALL, "--out", str(run))
    assert trained.returncode == 0, trained.stderr
    sampled = diffx("sample", str(run), "--steps", "5", "--n", "8", "--out", str(drawn))
    assert sampled.returncode == 0, sampled.stderr
    assert (drawn / "grid.png").stat().st_size > 0
    if options[0] == "pfgmpp":
        refused = diffx(
            "sample", str(run), "--sampler", "euler_maruyama", "--out", str(tmp_path / "none")
        )
        assert refused.returncode == 2
        assert "needs reverse_sde, which the scheduler PFGMPP does not offer" in refused.stderr
        assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["ouve", "bridge"])
def test_training_without_pairs_is_refused_in_one_line_before_anything_is_written(
    diffx, tmp_path, name
):
    run = tmp_path / "run"
    done = diffx("train", "--scheduler", name, *PLANE, *SMALL, "--out", str(run))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "each example to the image of its condition, and there is none" in line
    assert "train on a dataset of pairs, and sample, with Condition(image=...)" in line
    assert not run.exists()
