"""What tells data of the same options apart: what they are, not where or when they were written."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffx_backbones.text.bytes import Bytes
from diffx_cli.__main__ import main
from diffx_core import EncodedCaptions
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_datasets.image_folder import ImageFolder
from diffx_datasets.latents import Latents
from diffx_datasets.npz import Npz
from diffx_datasets.patches import Patches


def write_images(root, seed=0, n=6):
    random = np.random.default_rng(seed)
    for k in range(n):
        path = root / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)


def write_npz(root, seed=0, n=6):
    random = np.random.default_rng(seed)
    np.savez(root / "images.npz", images=random.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8))


def write_latents(root, seed=0, n=6):
    random = torch.Generator().manual_seed(seed)
    save_file({"latents": torch.randn(n, 4, 4, 4, generator=random)}, root / "latents.safetensors")


KINDS = {
    "kept": (write_images, lambda root: ImageFolder(root=root, size=8, stream=False)),
    "streamed": (write_images, lambda root: ImageFolder(root=root, size=8, stream=True)),
    "patches": (write_images, lambda root: Patches(root=root, size=8)),
    "npz": (write_npz, lambda root: Npz(root=root / "images.npz")),
    "latents": (write_latents, lambda root: Latents(root=root)),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def made(kind, root, **options):
    write, build = kind
    root.mkdir()
    write(root, **options)
    return build(root).fingerprint


def test_the_same_data_elsewhere_have_the_same(kind, tmp_path):
    assert made(kind, tmp_path / "here") == made(kind, tmp_path / "there") != ""


def test_other_data_have_another(kind, tmp_path):
    found = [
        made(kind, tmp_path / "here"),
        made(kind, tmp_path / "changed", seed=1),
        made(kind, tmp_path / "more", n=7),
    ]
    assert len(set(found)) == 3


def test_it_outlives_the_cache(kind, tmp_path, cache):
    before = made(kind, tmp_path / "here")
    shutil.rmtree(cache)
    assert kind[1](tmp_path / "here").fingerprint == before


def test_a_run_remembers_what_its_data_were(tmp_path):
    write_images(tmp_path / "images")
    words = ["--dataset", "image_folder", "--dataset.root", str(tmp_path / "images")]
    words += ["--dataset.size", "8", "--train.steps", "1", "--train.batch_size", "2"]
    assert main(["train", *words, "--out", str(tmp_path / "run")]) == 0
    saved = load_checkpoint(tmp_path / "run").record["components"]
    data = ImageFolder(root=tmp_path / "images", size=8)
    assert saved["dataset"]["fingerprint"] == data.fingerprint
    assert saved["backbone"]["fingerprint"] == ""


def test_encoding_captions_leaves_it_as_it_is(tmp_path):
    write_images(tmp_path)
    for path in list(tmp_path.rglob("*.png")):
        path.with_suffix(".txt").write_text(path.stem)
    data = ImageFolder(root=tmp_path, size=8, captions="txt")
    assert EncodedCaptions(data, Bytes()).fingerprint == data.fingerprint


@pytest.mark.parametrize("stream", [True, False])
def test_other_labels_of_the_same_images_have_another(tmp_path, stream):
    write_images(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    (tmp_path / "there" / "b" / "1.png").rename(tmp_path / "there" / "a" / "9.png")
    here, there = (
        ImageFolder(root=tmp_path / name, size=8, stream=stream) for name in ("here", "there")
    )
    order = torch.tensor([0, 1, 2, 3, 4, 5])
    assert torch.equal(here.batch(order).x, there.batch(order).x)
    assert here.fingerprint != there.fingerprint


@pytest.mark.parametrize("stream", [True, False])
def test_other_texts_about_the_same_images_have_another(tmp_path, stream):
    found = []
    for name, last in (("one", "a"), ("same", "a"), ("other", "b")):
        write_images(tmp_path / name)
        for path in list((tmp_path / name).rglob("*.png")):
            path.with_suffix(".txt").write_text(last if path.stem == "5" else "a text")
        data = ImageFolder(root=tmp_path / name, size=8, captions="txt", stream=stream)
        found.append(data.fingerprint)
    assert found[0] == found[1] != found[2]


def test_other_labels_of_the_same_latents_have_another(tmp_path):
    latents, found = torch.randn(4, 2, 2, 2, generator=torch.Generator().manual_seed(0)), []
    for name, label in (("one", [0, 1, 0, 1]), ("same", [0, 1, 0, 1]), ("other", [0, 1, 1, 0])):
        (tmp_path / name).mkdir()
        tensors = {"latents": latents, "label": torch.tensor(label)}
        save_file(tensors, tmp_path / name / "latents.safetensors")
        found.append(Latents(root=tmp_path / name).fingerprint)
    assert found[0] == found[1] != found[2]


def latents_at(root, *shards, **options):
    root.mkdir()
    for k, tensors in enumerate(shards):
        save_file(
            {name: one.contiguous() for name, one in tensors.items()},
            root / f"latents-{k}.safetensors",
        )
    return Latents(root=root, **options)


def test_latents_of_the_same_moments_in_another_order_have_another(tmp_path):
    z = torch.arange(48.0).view(4, 3, 2, 2)
    one = latents_at(tmp_path / "one", {"latents": z})
    turned = latents_at(tmp_path / "turned", {"latents": z.flip(0)})
    assert one.standard == turned.standard
    assert one.fingerprint != turned.fingerprint


def test_a_fingerprint_is_of_values_not_of_files(tmp_path):
    z = torch.arange(48.0).view(4, 3, 2, 2)
    found = {
        latents_at(tmp_path / "one", {"latents": z}).fingerprint,
        latents_at(tmp_path / "halves", {"latents": z.half()}).fingerprint,
        latents_at(tmp_path / "two", {"latents": z[:1]}, {"latents": z[1:]}).fingerprint,
    }
    assert len(found) == 1
    shaped = latents_at(tmp_path / "shaped", {"latents": z.view(4, 3, 4, 1)})
    assert shaped.fingerprint not in found


def test_mirrored_latents_count_where_they_are_read(tmp_path):
    z = torch.arange(48.0).view(4, 3, 2, 2)
    plain, flipped = set(), set()
    for name, mirrored in (("one", z.flip(-1)), ("other", z + 1)):
        data = latents_at(tmp_path / name, {"latents": z, "mirrored": mirrored})
        plain.add(data.fingerprint)
        flipped.add(Latents(root=data.root, flip=True).fingerprint)
    assert (len(plain), len(flipped)) == (1, 2)


def test_other_texts_about_the_same_latents_have_another_if_they_are_read(tmp_path):
    latents, read, unread = torch.randn(2, 2, 2, 2), [], []
    for name, texts in (("one", b'["a", "b"]'), ("same", b'["a","b"]'), ("other", b'["ab", ""]')):
        (tmp_path / name).mkdir()
        tensors = {"latents": latents, "captions": torch.tensor(list(texts), dtype=torch.uint8)}
        save_file(tensors, tmp_path / name / "latents.safetensors")
        read.append(Latents(root=tmp_path / name, captions=True).fingerprint)
        unread.append(Latents(root=tmp_path / name).fingerprint)
    assert read[0] == read[1] != read[2]
    assert unread[0] == unread[2] != read[0]
