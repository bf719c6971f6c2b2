"""A folder for results belongs to one process, and holds whole results or none."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from diffx_cli.output.place import claimed
from diffx_cli.sample import sampling
from diffx_core.errors import ConfigError
from diffx_core.pipeline import Drawing
from published import PlainDiT, fill

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
TRAIN = ["train", *POINTS, "--train.steps", "2", "--train.batch-size", "16"]
SAMPLE = ["sample", "run", "--n", "2", "--steps", "2"]
COMMANDS = pytest.mark.parametrize("line", [TRAIN, SAMPLE], ids=["train", "sample"])


def tree(folder):
    return sorted(str(one.relative_to(folder)) for one in Path(folder).rglob("*"))


def place(out, *, overwrite=False):
    return claimed(Path(out), Path("runs"), "label", ("images", "env.json"), overwrite=overwrite)


def publish(out, **how):
    with place(out, **how) as ours:
        (ours.partial / "env.json").write_text("new")
        (ours.partial / "images").mkdir()
        ours.publish()


@pytest.fixture
def run(diffx):
    """Run `diffx ARGUMENTS` beside a run that has been trained."""
    assert diffx(*TRAIN, "--out", "run").rc == 0
    return diffx


@pytest.fixture
def meanwhile(monkeypatch):
    """Have something done while samples are drawn."""

    def arrange(act):
        draw = Drawing.samples

        def drawn(self, *args, **kwargs):
            act()
            return draw(self, *args, **kwargs)

        monkeypatch.setattr(Drawing, "samples", drawn)

    return arrange


@COMMANDS
@pytest.mark.parametrize("flags", [[], ["--overwrite"], ["--dry-run"]], ids=" ".join)
def test_a_folder_that_another_process_works_in_is_refused(run, line, flags):
    with place("late"):
        result = run(*line, "--out", "late", *flags)
        assert result.rc == 2
        assert result.err == ("diffx: error: --out late: another diffx is at work there\n")
        assert tree("late") == [".partial"]
    assert not Path("late").exists()


@COMMANDS
def test_a_claim_ends_with_a_process_that_is_killed(run, line):
    work = multiprocessing.get_context("fork").Process(target=killed_at_work)
    work.start()
    work.join()
    assert tree("late") == [".partial", ".partial/half"]
    assert run(*line, "--out", "late").rc == 0
    assert not [one for one in tree("late") if one.startswith(".partial")]


def killed_at_work():
    with place("late") as ours:
        (ours.partial / "half").write_text("of a result")
        os.kill(os.getpid(), signal.SIGKILL)


def test_two_runs_do_not_get_one_folder(run, meanwhile):
    results = []
    meanwhile(lambda: results or results.append(0) or results.append(run(*SAMPLE, "--out", "s")))
    assert run(*SAMPLE, "--out", "s", "--seed", "1").rc == 0
    assert results[1].rc == 2
    assert "another diffx is at work there" in results[1].err
    assert '"seed": 1' in Path("s/sample.json").read_text()


def test_what_others_put_there_meanwhile_stays(run, meanwhile):
    assert run("train", "--backbone", "dit", *TRAIN[7:], "--out", "pictures").rc == 0
    notes = Path("late/images/my_notes.txt")

    def write():
        notes.parent.mkdir()
        notes.write_text("mine")

    meanwhile(write)
    assert run("sample", "pictures", *SAMPLE[2:], "--out", "late").rc == 0
    assert notes.read_text() == "mine"
    assert {"images/00001.png", "grid.png", "sample.json"} < set(tree("late"))


def test_a_file_of_the_same_name_is_not_overwritten(run, meanwhile):
    theirs = Path("late/samples.safetensors")
    meanwhile(lambda: theirs.write_text("mine"))
    result = run(*SAMPLE, "--out", "late")
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert "late/samples.safetensors: was put there by somebody else meanwhile" in result.err
    assert (tree("late"), theirs.read_text()) == (["samples.safetensors"], "mine")


@pytest.mark.parametrize("out", ["file/below", "/proc/samples", "x" * 300, "a/" + "x" * 300])
def test_a_folder_that_cannot_be_is_refused_before_samples_are_drawn(run, meanwhile, out):
    Path("file").write_text("")
    before = tree(".")
    meanwhile(lambda: pytest.fail("samples were drawn"))
    result = run(*SAMPLE, "--out", out)
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert out in result.err
    assert tree(".") == before


@pytest.mark.parametrize("flags", [["--out", "s/t"], []], ids=["named", "numbered"])
@pytest.mark.parametrize("when", ["drawing", "writing"])
def test_an_interrupted_run_leaves_nothing(run, monkeypatch, meanwhile, flags, when):
    def interrupt(*args):
        raise KeyboardInterrupt

    if when == "drawing":
        meanwhile(interrupt)
    else:
        monkeypatch.setattr(sampling, "finish", interrupt)
    before = tree(".")
    assert run(*SAMPLE, *flags).rc == 130
    assert tree(".") == before


@pytest.fixture
def importing(diffx, tmp_path):
    """Run `diffx import-weights` of a small network."""
    network = PlainDiT(side=8, channels=3, outputs=6, patch=4, width=32, depth=2, heads=4)
    torch.save(fill(network).state_dict(), tmp_path / "dit.pt")
    return lambda *flags: diffx(
        "import-weights", str(tmp_path / "dit.pt"), "--backbone.heads", "4", *flags
    )


@pytest.mark.parametrize("flags", [["--out", "new/run"], []], ids=["named", "numbered"])
def test_an_import_that_is_interrupted_leaves_nothing(importing, monkeypatch, flags):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("diffx_cli.import_weights.importing.save_checkpoint", interrupt)
    assert importing(*flags).rc == 130
    assert tree(".") == []


def test_an_import_takes_no_folder_in_which_another_process_works(importing):
    with place("late"):
        result = importing("--out", "late")
        assert (result.rc, tree("late")) == (2, [".partial"])
        assert "another diffx is at work there" in result.err


def test_an_import_that_fails_keeps_what_it_was_to_replace(importing, limited):
    assert importing("--out", "run").rc == 0
    before = tree("run")
    limited(6_000)
    assert importing("--out", "run", "--overwrite").rc == 2
    assert tree("run") == before


def test_results_that_cannot_all_be_moved_are_taken_back(tmp_path, monkeypatch):
    rename = Path.rename

    def once(self, target):
        if self.name == "images":
            raise OSError("no")
        return rename(self, target)

    out = tmp_path / "out"
    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OSError, match="no"):
        publish(out)
    assert not out.exists()


def test_a_folder_is_only_emptied_of_our_own(tmp_path):
    for name in ("images/old.png", "env.json", "theirs.txt"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("old")
    with pytest.raises(ConfigError, match="--overwrite"):
        publish(tmp_path / "out")
    publish(tmp_path / "out", overwrite=True)
    assert tree(tmp_path / "out") == ["env.json", "images", "theirs.txt"]
    assert (tmp_path / "out/env.json").read_text() == "new"


def test_the_demo_may_be_repeated_in_its_folder(run, monkeypatch):
    from diffx_cli.commands import demo

    small = {"dataset": "toy2d", "backbone": "mlp", "train.steps": "2", "train.batch_size": "8"}
    monkeypatch.setattr(demo, "TRAINED", small)
    monkeypatch.setattr(demo, "SAMPLED", {"steps": "2", "n": "4"})
    assert run("demo", "--out", "run").rc == 2
    assert run("demo", "--out", "run", "--overwrite").rc == 0
    assert Path("run/samples").exists()
