"""Latents: standardised by channel, from shards as they are or as `encode-latents` writes them."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffx_core import ConfigError, DataError
from diffx_datasets.encoding import encode
from diffx_datasets.image_folder import ImageFolder
from diffx_datasets.latents import Latents
from diffx_datasets.toy2d import Toy2D

SHAPE = (4, 6, 5)
SCALE = torch.tensor([1.0, 2.0, 5.0, 0.1])[:, None, None]
SHIFT = torch.tensor([0.0, -3.0, 1.0, 100.0])[:, None, None]


def raw(n, seed=0):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed)) * SCALE + SHIFT


def write(root, *shards, **metadata):
    root.mkdir(parents=True, exist_ok=True)
    for k, tensors in enumerate(shards):
        save_file(tensors, root / f"latents-{k:05d}.safetensors", metadata or None)
    return root


@pytest.fixture
def root(tmp_path):
    """Twelve latents in three shards, with labels and mirrored ones."""
    z, label = raw(12), torch.arange(12) % 3
    parts = zip(z.split(5), label.split(5), strict=True)
    shards = [{"latents": x, "label": y, "mirrored": x.flip(-1)} for x, y in parts]
    return write(tmp_path / "latents", *shards)


def whole(data):
    return data.batch(torch.arange(len(data)))


def test_each_channel_has_mean_zero_and_variance_one(root):
    x = whole(Latents(root=root)).x.double()
    zero, one = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(x.mean((0, 2, 3)), zero, atol=1e-5, rtol=0)
    torch.testing.assert_close(x.var((0, 2, 3), correction=0), one)


def test_standardising_can_be_undone(root):
    data = Latents(root=root)
    torch.testing.assert_close(data.standard.undone(whole(data).x), raw(12), rtol=1e-5, atol=1e-5)


def test_examples_come_in_order_from_all_shards(root):
    data = Latents(root=root)
    assert (len(data), data.spec.shape, data.spec.num_classes) == (12, SHAPE, 3)
    index = torch.tensor([11, 4, 5, 0, 5])
    batch = data.batch(index)
    assert torch.equal(batch.x, whole(data).x[index])
    assert torch.equal(batch.cond.label, index % 3)


def test_half_precision_is_read_as_it_is(tmp_path, root):
    halves = write(tmp_path / "half", {"latents": raw(12).half()})
    close = {"rtol": 1e-2, "atol": 1e-2}
    x = whole(Latents(root=halves)).x[:, :3]  # the last channel is far from zero for its size
    torch.testing.assert_close(x, whole(Latents(root=root)).x[:, :3], **close)


def test_training_sees_half_of_them_mirrored(root):
    plain, data = whole(Latents(root=root)).x, Latents(root=root, flip=True)
    seen = torch.stack([data.augmented(torch.arange(12), seed=0, step=k).x for k in range(20)])
    is_plain = (seen == plain).flatten(2).all(2)
    assert (is_plain | (seen == plain.flip(-1)).flatten(2).all(2)).all()
    assert 0.35 < is_plain.double().mean() < 0.65


def test_mirroring_needs_mirrored_latents(tmp_path):
    root = write(tmp_path / "latents", {"latents": raw(3)})
    with pytest.raises(DataError, match=r"no latents of mirrored images.*--mirrored true"):
        _ = Latents(root=root, flip=True).spec


def test_a_channel_of_one_value_is_zero(tmp_path):
    z = raw(5)
    z[:, 1] = 7.0
    data = Latents(root=write(tmp_path / "latents", {"latents": z}))
    x = whole(data).x
    assert (x[:, 1] == 0).all()
    assert data.spec.sigma_data == pytest.approx((3 / 4) ** 0.5)


def test_the_moments_are_measured_once(root, monkeypatch):
    before = Latents(root=root).spec
    monkeypatch.setattr("diffx_datasets.latents.measured", None)
    assert Latents(root=root).spec == before


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"x": raw(2)}, "has x; not latents"),
        ({"latents": raw(2), "extra": raw(2)}, "has extra, latents; not"),
        ({"latents": torch.ones(2, 3)}, r"has latents torch\.float32 \(2, 3\)"),
        ({"latents": torch.ones(2, 3, 4, 4).int()}, "not floats"),
        ({"latents": torch.ones(0, 3, 4, 4)}, "not floats"),
        ({"latents": torch.ones(4, 4, 0, 0)}, r"00000\.safetensors has latents .* none of them 0"),
        ({"latents": torch.ones(4, 0, 4, 4)}, r"00000\.safetensors has latents .* none of them 0"),
        ({"latents": raw(2), "label": torch.arange(3)}, r"has labels torch\.int64 \(3,\)"),
        ({"latents": raw(2), "label": torch.ones(2)}, r"has labels torch\.float32"),
        ({"latents": raw(2), "label": torch.tensor([0, -1])}, "labels below 0"),
        ({"latents": raw(2), "mirrored": raw(1)}, r"has \(1, 4, 6, 5\) mirrored"),
        ({"latents": raw(2) * torch.nan}, "has values in latents that are not finite"),
        ({"latents": raw(2).double() * 1e300}, "has values in latents that are not finite"),
        (
            {"latents": raw(2), "mirrored": raw(2) * torch.nan},
            "has values in mirrored that are not finite",
        ),
        ({"latents": torch.ones(2, 4, 6, 5)}, "are the same"),
    ],
)
def test_shards_that_make_no_sense_are_refused(tmp_path, tensors, said):
    with pytest.raises(DataError, match=said):
        _ = Latents(root=write(tmp_path / "latents", tensors)).spec


def test_shards_of_different_forms_are_refused(tmp_path):
    root = write(
        tmp_path / "latents", {"latents": raw(2)}, {"latents": raw(2)[:, :, :4].contiguous()}
    )
    with pytest.raises(DataError, match=r"00001\.safetensors has latents of 4x4x5.*4x6x5"):
        _ = Latents(root=root).spec


def test_a_missing_shard_is_noticed(tmp_path):
    root = write(tmp_path / "latents", {"latents": raw(2)}, {"latents": raw(2)}, part="0", of="3")
    with pytest.raises(DataError, match="has 2 of 3 shards"):
        _ = Latents(root=root).spec


def in_parts(root, *parts):
    """A shard for each part that the headers say."""
    root.mkdir()
    for k, part in enumerate(parts):
        header = {"part": part, "of": str(len(parts))}
        save_file({"latents": raw(2, k)}, root / f"latents-{k:05d}.safetensors", header)
    return root


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("002", r"00001\.safetensors and latents-00000\.safetensors are both part 0 of 3"),
        ("013", r"00002\.safetensors says that it is part '3', not one of 0 to 2"),
        (("0", "1", "-1"), r"00002\.safetensors says that it is part '-1'"),
        (("0", "1", "two"), r"00002\.safetensors says that it is part 'two'"),
    ],
)
def test_every_part_is_there_once(tmp_path, parts, said):
    with pytest.raises(DataError, match=said):
        _ = Latents(root=in_parts(tmp_path / "latents", *parts)).spec


def test_parts_may_be_in_any_order(tmp_path):
    assert len(Latents(root=in_parts(tmp_path / "latents", *"201"))) == 6


def test_a_damaged_shard_is_named(root):
    path = root / "latents-00001.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"00001\.safetensors cannot be read"):
        _ = Latents(root=root).spec


def test_without_shards_the_command_is_named(tmp_path):
    with pytest.raises(DataError, match="diffx encode-latents makes them"):
        _ = Latents(root=tmp_path).spec


def test_many_are_read_by_workers(root, monkeypatch):
    assert not Latents(root=root).streams
    monkeypatch.setattr("diffx_datasets.latents_held.MOST_KEPT", 100)
    data = Latents(root=root)
    assert data.streams
    assert data.on("cpu") is data


def test_on_an_accelerator_they_are_one_piece(root):
    held = Latents(root=root, flip=True).on("meta")
    (shard,) = held.shards
    assert len(held) == 12
    assert shard.latents.shape == shard.mirrored.shape == (12, *SHAPE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_an_accelerator_they_are_the_same(root):
    data = Latents(root=root, flip=True)
    index = torch.tensor([11, 4, 5, 0])
    here = data.augmented(index, seed=1, step=2)
    there = data.on("cuda").augmented(index, seed=1, step=2).to("cpu")
    torch.testing.assert_close(there.x, here.x)
    assert torch.equal(there.cond.label, here.cond.label)


class Halving:
    """Stands for an autoencoder: four channels of a quarter of the pixels."""

    channels = 3
    factor = 2

    def encode(self, images):
        small = images[:, :, ::2, ::2]
        return torch.cat([small, small.mean(1, keepdim=True)], 1)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_encoding_does_not_depend_on_the_batch(images, tmp_path, batch_size):
    data = ImageFolder(root=images, size=8)
    (tmp_path / "out").mkdir()
    count = encode(
        data, Halving(), tmp_path / "out", device=torch.device("cpu"),
        batch_size=batch_size, per_shard=4, mirrored=True,
    )  # fmt: skip
    assert count == (10, 3)
    latents = Latents(root=tmp_path / "out", flip=True)
    expected = Halving().encode(whole(data).x).half().float()
    z = latents.standard.undone(whole(latents).x)
    torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-6)
    assert whole(latents).cond.label.tolist() == [0] * 5 + [1] * 5
    shard = load_file(tmp_path / "out" / "latents-00002.safetensors")
    mirrored = Halving().encode(whole(data).x.flip(-1)).half()
    assert torch.equal(shard["mirrored"], mirrored[8:])


def test_what_cannot_be_encoded_is_refused(images, tmp_path):
    with pytest.raises(ConfigError, match="reads images"):
        encode(Toy2D(), Halving(), tmp_path, device=torch.device("cpu"))
    grey = ImageFolder(root=images, size=8, grey=True)
    with pytest.raises(ConfigError, match="of 3 channels, the data have 1"):
        encode(grey, Halving(), tmp_path, device=torch.device("cpu"))
