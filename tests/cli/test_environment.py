"""What a run was made with: `env.json`, as a function of what is really there."""

import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from diffx_cli.train.environment import environment


def facts(**changes):
    found = environment([], **{"device": "cpu", "argv": ["diffx", "train"], **changes})
    assert json.loads(json.dumps(found)) == found
    return found


def git(*arguments):
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **who}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder under git, with one file."""
    monkeypatch.chdir(tmp_path)
    git("init")
    Path("file").write_text("a")
    git("add", "file")
    git("commit", "-m", "one", "--no-verify")
    return git("rev-parse", "HEAD")


def test_a_clean_folder_is_at_its_commit(repository):
    Path("new").write_text("git does not track it")
    assert facts()["git"] == {"commit": repository, "dirty": False}


def test_a_changed_file_makes_the_folder_dirty(repository):
    Path("file").write_text("b")
    assert facts()["git"] == {"commit": repository, "dirty": True}


def test_a_tag_does_not_take_the_place_of_the_commit(repository):
    git("tag", "v1-dirty")
    assert facts()["git"] == {"commit": repository, "dirty": False}


def test_a_folder_that_git_does_not_know_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert facts()["git"] is None


def test_every_plugin_is_there_with_its_version_whether_or_not_it_works(fake_distribution):
    fake_distribution("diffx-odd", {"plugin": "import nothing_of_this_name"}, version="7.1")
    found = facts()["distributions"]
    assert found["diffx-odd"] == "7.1"
    for name in ("diffx-core", "diffx-cli", "diffx-backbones", "diffx-samplers", "torch"):
        assert found[name] == version(name)


def test_a_distribution_that_is_asked_for_and_not_there_has_no_version():
    found = environment(["diffx-lost"], device="cpu", argv=[])
    assert found["distributions"]["diffx-lost"] is None


def test_threads_are_those_that_torch_uses():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert facts()["threads"]["operation"] == before + 1
    finally:
        torch.set_num_threads(before)


def test_the_device_and_the_build_are_those_of_torch():
    found = facts(argv=["diffx", "train", "--device", "cpu"])
    assert found["device"]["name"] == "cpu"
    assert found["device"]["model"] == torch.backends.cpu.get_cpu_capability()
    assert found["torch"]["commit"] == torch.version.git_version
    assert found["argv"] == ["diffx", "train", "--device", "cpu"]
    assert found["working_folder"] == str(Path.cwd())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_accelerator_has_a_model_a_memory_and_a_driver():
    device = facts(device="cuda:0")["device"]
    expected = torch.cuda.get_device_properties(0)
    assert (device["model"], device["memory"]) == (expected.name, expected.total_memory)
    assert device["driver"].replace(".", "").isdigit()
