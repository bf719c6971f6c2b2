"""Images that are read for each batch: the same as those that are kept."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_cli.__main__ import main
from diffx_core import DataError
from diffx_datasets import large_images
from diffx_datasets.image_folder import ImageFolder

N = 24


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for k in range(N):
        path = tmp_path / "images" / "ab"[k % 2] / f"{k:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "images"


def images(folder, **options):
    return ImageFolder(root=folder, size=8, **options)


def spoil(folder, *numbers):
    for k in numbers:
        (folder / "ab"[k % 2] / f"{k:02}.png").write_bytes(b"spoilt")


@pytest.mark.parametrize("flip", [False, True])
def test_they_are_the_same_as_those_that_are_kept(folder, flip):
    kept, read = images(folder, flip=flip, stream=False), images(folder, flip=flip, stream=True)
    index = torch.tensor([3, 0, 17, 3, 23])
    seen = [data.augmented(index, seed=5, step=2) for data in (kept, read)]
    assert torch.equal(seen[0].x, seen[1].x)
    assert torch.equal(seen[0].cond.label, seen[1].cond.label)
    assert kept.spec == read.spec
    assert (kept.streams, read.streams) == (False, True)


def test_nothing_is_decoded_but_to_measure(folder, cache):
    images(folder, stream=True).batch(torch.tensor([1]))
    assert not list(cache.glob("*/pixels.bin"))
    (facts,) = cache.glob("*/facts.json")
    assert json.loads(facts.read_text())["skipped"] == {}


def test_what_takes_too_much_room_is_streamed_unless_told_otherwise(folder, monkeypatch):
    assert not images(folder).streams
    monkeypatch.setattr(large_images, "MOST_KEPT", N * 3 * 8 * 8 - 1)
    assert images(folder).streams
    assert not images(folder, stream=False).streams


def test_the_facts_are_measured_once(folder, monkeypatch):
    before = images(folder, stream=True).spec
    monkeypatch.setattr("diffx_datasets.streamed._look", None)
    assert images(folder, stream=True).spec == before


def test_a_bad_image_is_named_with_the_remedy(folder):
    spoil(folder, 4)
    with pytest.raises(DataError, match=r"04\.png: is not an image.*--dataset\.on_bad skip"):
        images(folder, stream=True).batch(torch.tensor([2]))


def test_a_bad_image_is_replaced_by_the_next_one_with_its_label(folder):
    good = images(folder, stream=True)
    next_one = good.batch(torch.tensor([12]))  # the first of class b; the last of class a is 11
    spoil(folder, 22)
    data = images(folder, stream=True, on_bad="skip")
    batch = data.batch(torch.tensor([11, 12]))
    assert len(data) == N
    assert torch.equal(batch.x, next_one.x[[0, 0]])
    assert batch.cond.label.tolist() == [1, 1]
    assert batch.index.tolist() == [11, 12]


def test_an_image_that_goes_bad_later_counts(folder):
    data = images(folder, stream=True, on_bad="skip", max_bad=0.1)
    everything = torch.arange(N)
    data.batch(everything)
    spoil(folder, 1, 2)
    data.batch(everything)
    spoil(folder, 5)
    with pytest.raises(DataError, match=r"3 files cannot be used, 2 may be.*05\.png"):
        data.batch(everything)


def test_if_all_are_bad_there_is_nothing(folder):
    spoil(folder, *range(N))
    with pytest.raises(DataError, match="no images that can be used"):
        _ = images(folder, stream=True, on_bad="skip", max_bad=1.0).spec


def test_another_process_reads_the_same(folder):
    data = images(folder, stream=True, flip=True)
    index = torch.arange(N)
    expected = data.augmented(index, seed=1, step=1).x
    other = pickle.loads(pickle.dumps(data.on("cpu")))
    assert torch.equal(other.augmented(index, seed=1, step=1).x, expected)


def test_workers_hand_over_bytes(folder):
    data = images(folder, stream=True, flip=True).on("cpu")
    read, finish = data.in_two()
    batch = read(torch.arange(N), seed=1, step=1)
    assert batch.x.dtype == torch.uint8
    assert torch.equal(finish(batch).x, data.augmented(torch.arange(N), seed=1, step=1).x)


def losses(folder, out, *more):
    words = ["--dataset.root", str(folder), "--dataset.size", "8", "--train.steps", "3"]
    words += ["--dataset", "image_folder", "--train.batch_size", "4", "--train.log_every", "1"]
    assert main(["train", *words, "--out", str(out), *more]) == 0
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_training_learns_the_same_with_any_number_of_workers(folder, tmp_path):
    kept = losses(folder, tmp_path / "kept", "--dataset.flip", "true")
    for workers in ("0", "2"):
        words = ("--dataset.flip", "true", "--dataset.stream", "true", "--train.workers", workers)
        assert losses(folder, tmp_path / workers, *words) == kept


def test_a_bad_image_found_by_a_worker_ends_the_run_with_its_path(folder, tmp_path, capsys):
    losses(folder, tmp_path / "facts", "--dataset.stream", "true", "--train.workers", "0")
    path = folder / "b" / "13.png"
    stamp = path.stat()
    path.write_bytes(b"x" * stamp.st_size)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    words = ["--dataset.root", str(folder), "--dataset.size", "8", "--dataset.stream", "true"]
    words += ["--dataset", "image_folder", "--train.steps", "8", "--train.batch_size", "4"]
    capsys.readouterr()
    assert main(["train", *words, "--train.workers", "2", "--out", str(tmp_path / "run")]) == 4
    error = capsys.readouterr().err
    assert "13.png: is not an image" in error
    assert "Traceback" not in error


def spoil_unseen(folder, *numbers):
    """Make files bad without a trace, as if they had not been among those that were looked at."""
    for k in numbers:
        path = folder / "ab"[k % 2] / f"{k:02}.png"
        stamp = path.stat()
        path.write_bytes(b"x" * stamp.st_size)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def test_bad_images_are_counted_in_one_place_whoever_reads_them(folder, caplog):
    data = images(folder, stream=True, on_bad="skip", max_bad=0.1).on("cpu")
    _, finish = data.in_two()
    workers = [pickle.loads(pickle.dumps(data)) for _ in range(3)]
    spoil_unseen(folder, 2, 8, 14)
    batches = [  # positions go by class: those three files are 1, 4 and 7
        worker.read(torch.tensor([k]), seed=0, step=0)
        for worker, k in zip(workers, (1, 4, 7), strict=True)
    ]
    finish(batches[0])
    finish(batches[1])
    assert [one.getMessage().partition(";")[0] for one in caplog.records] == [
        f"image_folder: put others in the place of {k} of {N} files so far" for k in (1, 2)
    ]
    assert "02.png: is not an image" in caplog.text
    finish(workers[0].read(torch.tensor([1]), seed=0, step=1))
    assert len(caplog.records) == 2
    with pytest.raises(DataError, match=r"3 files cannot be used, 2 may be.*14\.png"):
        finish(batches[2])


def test_how_many_may_be_bad_does_not_depend_on_the_workers(folder, tmp_path, capsys):
    words = ["--dataset", "image_folder", "--dataset.root", str(folder), "--dataset.size", "8"]
    words += ["--dataset.stream", "true", "--dataset.on_bad", "skip", "--dataset.max_bad", "0.1"]
    words += ["--train.batch_size", "4"]
    facts = ["--train.steps", "1", "--train.workers", "0", "--out", str(tmp_path / "facts")]
    assert main(["train", *words, *facts]) == 0
    spoil_unseen(folder, 2, 8, 14)
    said = []
    for workers in ("0", "2"):
        capsys.readouterr()
        more = ["--train.steps", "6", "--train.workers", workers, "--out", str(tmp_path / workers)]
        assert main(["train", *words, *more]) == 4
        said.append(capsys.readouterr().err.splitlines()[-1])
    assert said[0] == said[1]
    assert "3 files cannot be used, 2 may be left out" in said[0]
