"""A stranger's package, installed by pip, is as good as a built-in; uninstalled, it is missed."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins" / "diffx-cosh"
SMALL = ("--train.steps", "20", "--train.batch_size", "32", "--dataset.points", "256")
DRAWN = ("--sampler", "ddim", "--steps", "5", "--n", "8")


@pytest.fixture
def diffx(shell, installed_cosh):
    """Run `diffx ARGUMENTS` with the package installed, or without it."""
    here = importlib.util.find_spec("diffx_cosh")
    assert here is None, "it must not be in the environment already: pip uninstall diffx-cosh"

    def run(*arguments, installed=True):
        return shell("diffx_cli", *arguments, path=[installed_cosh] if installed else [])

    return run


def test_it_is_listed_with_its_distribution_and_version(diffx):
    rows = json.loads(diffx("list-plugins", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == "cosh"]
    assert row == {
        "kind": "scheduler",
        "name": "cosh",
        "qualified": "diffx-cosh:cosh",
        "distribution": "diffx-cosh",
        "version": "0.1.0",
        "status": "ok",
        "summary": "Hyperbolic variance-preserving SDE",
        "error": None,
    }


def test_its_options_are_described(diffx):
    done = diffx("describe", "scheduler", "cosh", "--json")
    (option,) = json.loads(done.stdout)["options"]
    assert (option["name"], option["type"], option["default"]) == ("rate", "float", 5.5)
    assert option["help"].startswith("how fast the data vanish")


def test_its_options_are_validated(diffx):
    done = diffx("train", "--scheduler", "cosh", "--scheduler.rate", "100")
    assert done.returncode == 2
    assert "--scheduler.rate" in done.stderr


@pytest.mark.slow
def test_it_trains_and_samples_by_name_until_it_is_uninstalled(diffx, tmp_path):
    run = tmp_path / "run"
    what = ("--scheduler", "cosh", "--backbone", "mlp", "--dataset", "toy2d")
    trained = diffx("train", *what, *SMALL, "--out", str(run))
    assert trained.returncode == 0, trained.stderr

    sampled = diffx("sample", str(run), *DRAWN, "--out", str(tmp_path / "samples"))
    assert sampled.returncode == 0, sampled.stderr
    assert (tmp_path / "samples" / "grid.png").stat().st_size > 0

    missed = diffx("sample", str(run), *DRAWN, "--out", str(tmp_path / "none"), installed=False)
    assert missed.returncode == 3
    assert "pip install diffx-cosh" in missed.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_its_own_tests_pass_against_the_installed_copy(shell, installed_cosh, tmp_path):
    tests = shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    done = shell("pytest", str(tests), "-p", "no:cacheprovider", path=[installed_cosh])
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
