"""Images kept as bytes: decoded once, verified, batched where they are."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from diffx_core import ConfigError, DataError
from diffx_datasets.packing import Source, packed

N, SHAPE = 12, (3, 8, 8)


def bytes_of(n=N, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


class Decoder:
    """Counts how often it is asked for the images."""

    def __init__(self, pixels, labels=None):
        self.pixels, self.labels, self.asked = pixels, labels, 0

    def __call__(self):
        self.asked += 1
        labels = [None] * len(self.pixels) if self.labels is None else self.labels
        yield from zip(self.pixels, labels, strict=True)


def source(decoder, *, classes=None, shape=SHAPE, **facts):
    return Source(name="made", facts=facts, shape=shape, num_classes=classes, images=decoder)


def whole(data):
    return data.batch(torch.arange(len(data)))


def test_bytes_become_floats_that_reach_both_ends():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    x = whole(packed(source(Decoder(pixels), shape=(1, 16, 16)), flip=False)).x
    torch.testing.assert_close(x.flatten(), torch.linspace(-1, 1, 256), atol=2e-7, rtol=0)
    assert (x.min(), x.max()) == (-1, 1)


def test_the_facts_are_measured_over_all_images():
    pixels = bytes_of()
    data = packed(source(Decoder(pixels, [i % 5 for i in range(N)]), classes=5), flip=False)
    x = whole(data).x.double()
    assert data.spec.sigma_data == pytest.approx(x.square().mean().sqrt().item(), rel=1e-7)
    assert (data.spec.shape, data.spec.num_classes, data.spec.levels) == (SHAPE, 5, 256)
    assert whole(data).cond.label.tolist() == [i % 5 for i in range(N)]


def test_what_has_been_decoded_is_not_decoded_again():
    decoder = Decoder(bytes_of())
    first, second = (whole(packed(source(decoder), flip=False)).x for _ in range(2))
    assert decoder.asked == 1
    assert torch.equal(first, second)


def test_other_facts_are_other_data():
    decoder = Decoder(bytes_of())
    packed(source(decoder, size=8), flip=False)
    packed(source(decoder, size=9), flip=False)
    assert decoder.asked == 2


@pytest.mark.parametrize("name", ["pixels.bin", "facts.json", "sha256.json"])
@pytest.mark.parametrize("harm", ["change", "cut", "remove"])
def test_a_damaged_copy_is_made_again(cache, caplog, name, harm):
    decoder = Decoder(bytes_of())
    before = whole(packed(source(decoder), flip=False)).x
    (path,) = cache.glob(f"*/{name}")
    content = path.read_bytes()
    path.unlink()
    if harm != "remove":
        path.write_bytes(content[:-1] if harm == "cut" else b"#" + content[1:])
    assert torch.equal(whole(packed(source(decoder), flip=False)).x, before)
    assert decoder.asked == 2
    assert "is damaged" in caplog.text


def test_what_fails_half_way_leaves_nothing(cache):
    def broken():
        yield bytes_of()[0], None
        raise DataError("the second is broken")

    with pytest.raises(DataError, match="second"):
        packed(source(broken), flip=False)
    assert [one for one in cache.iterdir() if one.is_dir()] == []


def test_what_a_killed_process_left_does_not_matter(cache):
    decoder = Decoder(bytes_of())
    packed(source(decoder), flip=False)
    (folder,) = (one for one in cache.iterdir() if one.is_dir())
    folder.rename(folder.with_suffix(".partial"))
    (folder.with_suffix(".partial") / "sha256.json").unlink()
    packed(source(decoder), flip=False)
    assert sorted(one.suffix for one in cache.iterdir()) == ["", ".lock"]


def test_two_processes_decode_once(cache):
    code = f"""
import time
import numpy as np
from pathlib import Path
from diffx_datasets.packing import Source, packed
def images():
    with Path({str(cache / "log")!r}).open("a") as log:
        log.write("decoded\\n")
    time.sleep(0.3)
    yield np.zeros((1, 8, 8), np.uint8), None
packed(Source(name="a", facts={{}}, shape=(1, 8, 8), num_classes=None, images=images), flip=False)
"""
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert (cache / "log").read_text() == "decoded\n"


@pytest.mark.parametrize(
    ("pixels", "labels", "classes", "said"),
    [
        (bytes_of(0), None, None, "no images"),
        (bytes_of(2, (1, 8, 8)), None, None, r"\(1, 8, 8\), not bytes \(3, 8, 8\)"),
        (bytes_of(2).astype(np.float32), None, None, "float32"),
        (bytes_of(2), [0, None], 2, "some images only"),
        (bytes_of(2), [0, 2], 2, "label 2 is not one of 0 to 1"),
    ],
    ids=["none", "shape", "type", "labels", "class"],
)
def test_what_does_not_fit_is_refused(pixels, labels, classes, said):
    with pytest.raises(DataError, match=f"made: .*{said}"):
        packed(source(Decoder(pixels, labels), classes=classes), flip=False)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / ("long" * 100)))
    with pytest.raises(DataError, match=r"longlong.*name too long.*DIFFX_CACHE to a folder that"):
        packed(source(Decoder(bytes_of())), flip=False)


def test_a_cache_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"file, which is no folder; set DIFFX_CACHE"):
        packed(source(Decoder(bytes_of())), flip=False)


@pytest.mark.parametrize("width", [3, 8, 16])
def test_half_are_mirrored_and_the_others_as_they_are(width):
    pixels = bytes_of(400, (3, 4, width))
    data = packed(source(Decoder(pixels), shape=(3, 4, width)), flip=True)
    plain = whole(data).x
    seen = data.augmented(torch.arange(400), seed=1, step=5).x
    mirrored = (seen == plain.flip(-1)).flatten(1).all(1)
    same = (seen == plain).flatten(1).all(1)
    assert (mirrored ^ same).all()
    # five standard deviations of a binomial count
    assert abs(int(mirrored.sum()) - 200) < 50


def test_which_are_mirrored_depends_on_seed_index_and_step_alone():
    data = packed(source(Decoder(bytes_of(64))), flip=True)

    def seen(index, seed, step):
        return data.augmented(torch.tensor(index), seed=seed, step=step).x

    everything = seen(range(64), 0, 0)
    assert torch.equal(seen([40, 3], 0, 0), everything[[40, 3]])
    assert not torch.equal(seen(range(64), 1, 0), everything)
    assert not torch.equal(seen(range(64), 0, 1), everything)


def test_without_flips_training_sees_the_images_as_they_are():
    data = packed(source(Decoder(bytes_of())), flip=False)
    assert torch.equal(data.augmented(torch.arange(N), seed=0, step=0).x, whole(data).x)


@pytest.mark.parametrize("width", [3, 8])
@pytest.mark.parametrize("spare", [0, 2**20])
def test_with_memory_to_spare_training_sees_the_same(monkeypatch, width, spare):
    monkeypatch.setattr("diffx_datasets.packed.SMALL", spare)
    data = packed(source(Decoder(bytes_of(64, (3, 4, width))), shape=(3, 4, width)), flip=True)
    there = data.on("cpu")
    assert (there.both is None) == (spare == 0)
    index = torch.arange(64).flip(0)
    for step in range(3):
        seen = (one.augmented(index, seed=2, step=step).x for one in (data, there))
        assert torch.equal(*seen)
    assert torch.equal(whole(there).x, whole(data).x)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_an_accelerator_the_batches_are_the_same():
    data = packed(source(Decoder(bytes_of())), flip=True)
    there = data.on("cuda").augmented(torch.arange(N), seed=0, step=0)
    assert there.x.is_cuda
    assert torch.equal(there.x.cpu(), data.augmented(torch.arange(N), seed=0, step=0).x)
