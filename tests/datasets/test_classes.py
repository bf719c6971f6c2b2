"""How many classes there are, where the labels alone would have to tell."""

import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diffx_core import DataError
from diffx_datasets.classes import MOST, SURE, classes_of
from diffx_datasets.huggingface import HuggingFace
from diffx_datasets.latents import Latents
from diffx_datasets.npz import Npz
from diffx_datasets.webdataset import WebDataset
from published_formats import COLOURS, add_member, png


def in_a_shard(folder, labels, **options):
    with tarfile.open(folder / "one.tar", "w") as archive:
        for k, label in enumerate(labels):
            add_member(archive, f"{k}.png", png(COLOURS[k]))
            add_member(archive, f"{k}.cls", str(label).encode())
    return WebDataset(root=folder / "one.tar", size=8, **options)


def in_an_npz(folder, labels, **options):
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    np.savez(folder / "one.npz", images=images, labels=np.array(labels, np.int64))
    return Npz(root=folder / "one.npz", **options)


def in_a_table(folder, labels, **options):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    datasets.disable_progress_bars()
    kinds = {"image": datasets.Image(), "kind": datasets.Value("int64")}
    images = [{"bytes": png(COLOURS[k]), "path": None} for k in range(len(labels))]
    values = {"image": images, "kind": list(labels)}
    table = datasets.Dataset.from_dict(values, features=datasets.Features(kinds))
    table.save_to_disk(folder / "saved")
    return HuggingFace(root=folder / "saved", label="kind", size=8, **options)


def in_latents(folder, labels, **options):
    tensors = {"latents": torch.randn(len(labels), 4, 2, 2), "label": torch.tensor(labels)}
    (folder / "one").mkdir()
    save_file(tensors, folder / "one" / "latents.safetensors")
    return Latents(root=folder / "one", **options)


KINDS = {
    "webdataset": in_a_shard,
    "npz": in_an_npz,
    "huggingface": in_a_table,
    "latents": in_latents,
}


@pytest.fixture(params=KINDS)
def made(request):
    return KINDS[request.param]


def test_the_highest_label_tells(tmp_path, made):
    assert made(tmp_path, [0, 4, 2]).spec.num_classes == 5


def test_classes_without_an_example_can_be_said(tmp_path, made):
    assert made(tmp_path, [0, 4, 2], num_classes=7).spec.num_classes == 7


def test_a_count_that_is_said_later_is_not_taken_from_the_cache(tmp_path):
    assert in_an_npz(tmp_path, [0, 1]).spec.num_classes == 2
    assert Npz(root=tmp_path / "one.npz", num_classes=3).spec.num_classes == 3


def test_labels_beyond_the_classes_that_are_said_are_refused(tmp_path, made):
    with pytest.raises(DataError, match=r"(one|saved).* label 4, .*num_classes 4 allows 0 to 3"):
        len(made(tmp_path, [0, 4, 2], num_classes=4))


def test_a_label_that_cannot_be_meant_is_refused_unless_its_classes_are_said(tmp_path, made):
    with pytest.raises(DataError, match=r"label 999999999 among 3 .* 1000000000 classes; mend"):
        len(made(tmp_path, [0, 999_999_999, 2]))


def test_classes_that_are_said_are_believed():
    assert classes_of(np.array([0, SURE]), SURE + 1, "data") == SURE + 1


def test_as_many_classes_as_examples_are_believed():
    labels = np.arange(SURE + 1)
    assert classes_of(labels, None, "data") == SURE + 1
    assert classes_of(labels[:3] * 0 + SURE - 1, None, "data") == SURE
    with pytest.raises(DataError, match=f"label {SURE} among {SURE} examples"):
        classes_of(labels[1:], None, "data")


def test_more_classes_than_a_network_can_have_cannot_be_said(tmp_path, made):
    with pytest.raises(ValueError, match="num_classes"):
        made(tmp_path, [0, 1], num_classes=MOST + 1)


@pytest.mark.parametrize("said", [None, MOST])
def test_a_label_beyond_all_integers_is_refused(tmp_path, said):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "one.npz", images=images, labels=np.array([0, 2**63 + 5], np.uint64))
    with pytest.raises(DataError, match=f"has the label {2**63 + 5}"):
        len(Npz(root=tmp_path / "one.npz", num_classes=said))


def test_what_a_file_says_is_believed_within_reason():
    labels = np.array([0, 1])
    assert classes_of(labels, None, "data", MOST) == MOST
    assert classes_of(labels, 5, "data", MOST + 1) == 5
    with pytest.raises(DataError, match=f"says that there are {MOST + 1} classes.*num_classes"):
        classes_of(labels, None, "data", MOST + 1)


def test_what_a_shard_of_latents_says_is_believed_within_reason(tmp_path):
    tensors = {"latents": torch.randn(2, 4, 2, 2), "label": torch.arange(2)}
    save_file(tensors, tmp_path / "latents.safetensors", {"num_classes": "999999999"})
    with pytest.raises(DataError, match=r"says that there are 999999999 classes, and has 2 ex"):
        _ = Latents(root=tmp_path).spec
    assert Latents(root=tmp_path, num_classes=3).spec.num_classes == 3


def test_classes_of_data_without_labels_are_refused(tmp_path):
    np.savez(tmp_path / "one.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"one\.npz has no labels; leave out .*num_classes 3"):
        len(Npz(root=tmp_path / "one.npz", num_classes=3))


def test_a_column_of_classes_may_be_one_of_more(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    in_a_table(tmp_path, [0, 1])
    table = datasets.load_from_disk(str(tmp_path / "saved"))
    named = table.cast_column("kind", datasets.ClassLabel(names=["a", "b"]))
    named.save_to_disk(tmp_path / "named")
    assert HuggingFace(root=tmp_path / "named", size=8).spec.num_classes == 2
    assert HuggingFace(root=tmp_path / "named", size=8, num_classes=3).spec.num_classes == 3
