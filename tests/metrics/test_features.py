"""Features are the same every time, and what comes from files is what it is said to be."""

import hashlib
import pickle

import pytest
import torch
from attrs import evolve, frozen

from diffx_core import (
    INCEPTION,
    NO_LABEL,
    Batch,
    Condition,
    ConfigError,
    DataError,
    Dataset,
    DataSpec,
)
from diffx_metrics.features import classifier, inception
from diffx_metrics.features.dinov2 import DinoV2
from diffx_metrics.features.inception import Inception
from diffx_metrics.features.kept import classifier_for
from diffx_metrics.features.random_conv import RandomConv
from diffx_metrics.features.seen import Values, as_kept

CPU = torch.device("cpu")
GREY = DataSpec(shape=(1, 8, 8), num_classes=2, value_range=(-1, 1), levels=256)
POINTS = DataSpec(shape=(2,))


def images(count=6, channels=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, 8, 8, generator=generator) * 2 - 1


@frozen
class Stripes(Dataset):
    """Images with stripes that lie down or stand."""

    spec = GREY

    def __len__(self):
        return 90

    def batch(self, index):
        stripes = (torch.arange(8) % 2 * 2.0 - 1).expand(8, 8)
        lying = (index % 2)[:, None, None] == 1
        x = torch.where(lying, stripes.T, stripes) * (0.2 + index[:, None, None] / 120)
        return Batch(x=x[:, None], cond=Condition(label=index % 2), index=index)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(classifier, "LEAST", 60)  # stripes are learned soon
    return tmp_path / "cache" / "classifiers"


def test_random_features_are_known_by_their_seed():
    before = torch.random.get_rng_state()
    one, same, other = (RandomConv(spec=GREY, seed=seed) for seed in (0, 0, 1))
    x = images()
    assert torch.equal(one.see(x).features, same.see(x).features)
    assert not torch.equal(one.see(x).features, other.see(x).features)
    assert (one.name, other.name) == ("rand-conv,seed=0", "rand-conv,seed=1")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_of_an_image_do_not_depend_on_the_batch():
    features, x = RandomConv(spec=GREY), images()
    torch.testing.assert_close(features.see(x).features[2:3], features.see(x[2:3]).features)


@pytest.mark.parametrize("shape", [(4, 5, 7), (3, 1, 1), (2, 1, 9)])
def test_random_features_are_there_for_any_image(shape):
    found = RandomConv(spec=DataSpec(shape=shape)).see(torch.randn(2, *shape))
    assert found.features.shape == (2, 288)
    assert found.features.isfinite().all()
    assert found.logits is None


def test_values_are_those_of_the_example():
    assert Values().see(torch.arange(4.0).view(2, 2)).features.tolist() == [[0, 1], [2, 3]]


def test_images_are_seen_as_they_come_back_from_a_file():
    x = images()
    kept = as_kept(x, GREY)
    assert torch.equal(as_kept(kept, GREY), kept)
    assert (kept - x).abs().max() <= 1 / 255 + 1e-6
    points = 5 * torch.ones(3, 2) / 7
    assert torch.equal(as_kept(points, POINTS), points)  # which do not become bytes


def test_a_classifier_learns_and_is_kept(cache, monkeypatch):
    first = classifier_for(Stripes(), "stripes", CPU)
    assert first.accuracy == 1.0
    batch = Stripes().batch(torch.arange(20))
    assert torch.equal(first.see(batch.x).logits.argmax(1), batch.cond.label)
    monkeypatch.setattr("diffx_metrics.features.kept.train", None)  # it is not trained again
    again = classifier_for(Stripes(), "stripes", CPU)
    assert (again.name, again.facts) == (first.name, first.facts)
    assert torch.equal(again.see(batch.x).features, first.see(batch.x).features)


class Unnamed(Stripes):
    """The same, of which few are known: one in nine, and a batch of others has no labels at all."""

    def batch(self, index):
        found = super().batch(index)
        label = found.cond.label.masked_fill(index % 9 > 0, NO_LABEL)
        return evolve(found, cond=Condition(label=label if (label != NO_LABEL).any() else None))


def test_a_classifier_learns_from_the_examples_that_have_labels(monkeypatch):
    monkeypatch.setattr(classifier, "BATCH", 4)  # so that some have none
    found = classifier_for(Unnamed(), "few", CPU)
    assert found.accuracy == 1.0
    batch = Stripes().batch(torch.arange(20))
    assert torch.equal(found.see(batch.x).logits.argmax(1), batch.cond.label)


def test_a_classifier_that_was_damaged_is_trained_again_to_the_same(cache):
    first = classifier_for(Stripes(), "stripes", CPU)
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    content[-5] ^= 0xFF
    file.write_bytes(bytes(content))
    assert classifier_for(Stripes(), "stripes", CPU).digest == first.digest


def test_other_data_have_another_classifier(cache):
    classifier_for(Stripes(), "stripes", CPU)
    classifier_for(Stripes(), "stripes of another file", CPU)
    assert len(list(cache.iterdir())) == 2


def test_training_a_classifier_leaves_global_random_numbers_alone():
    before = torch.random.get_rng_state()
    classifier_for(Stripes(), "stripes", CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("spec", "what"),
    [(DataSpec(shape=(1, 8, 8)), "have no classes"), (DataSpec((2,), 2), "are no images")],
)
def test_data_that_cannot_be_classified_are_refused(spec, what):
    @frozen
    class Other(Stripes):
        pass

    Other.spec = spec
    with pytest.raises(ConfigError, match=what):
        classifier_for(Other(), "other", CPU)


def test_a_cache_that_cannot_be_written_to_is_named(cache):
    cache.parent.mkdir()
    cache.write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot be kept there .*; set DIFFX_CACHE"):
        classifier_for(Stripes(), "stripes", CPU)


class Bomb:
    """Runs something when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise RuntimeError('it was unpickled')",)


def test_weights_of_inception_are_not_opened_unless_they_are_the_ones(tmp_path):
    file = tmp_path / inception.FILE
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"its SHA-256 begins with \w{8}, not 6726825d"):
        Inception.load(file, GREY, CPU)


def test_weights_of_inception_that_are_not_there_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pth: cannot be read: No such"):
        Inception.load(tmp_path / "none.pth", GREY, CPU)


@pytest.mark.parametrize("features", [Inception, DinoV2])
def test_networks_for_pictures_refuse_what_is_none(features, tmp_path):
    with pytest.raises(ConfigError, match="the data are none"):
        features.load(tmp_path, POINTS, CPU)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inception_sees_grey_images_and_colours(tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, weights):
            """None: it has random weights."""

    torch.save({}, tmp_path / "none.pth")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Blank("inception-v3-compat", inception.LAYERS, str(tmp_path / "none.pth"))
    file = tmp_path / inception.FILE
    torch.save(network.state_dict(), file)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    grey, x = Inception.load(file, GREY, CPU), images(2)
    seen = grey.see(x)
    assert (seen.features.shape, seen.logits.shape) == ((2, 2048), (2, 1008))
    colour = DataSpec(shape=(3, 8, 8), value_range=(-1, 1))
    same = Inception.load(file, colour, CPU).see(x.expand(-1, 3, -1, -1))
    assert torch.equal(same.features, seen.features)
    assert grey.name == INCEPTION


@pytest.fixture
def dino(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, patch_size=56, image_size=224
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    return tmp_path / "dino"


def test_dinov2_is_read_from_a_folder_and_named_by_its_weights(dino):
    features = DinoV2.load(dino, GREY, CPU)
    digest = hashlib.sha256((dino / "model.safetensors").read_bytes()).hexdigest()
    assert features.name == f"dinov2,{digest[:8]}"
    assert features.facts["sha256"] == digest
    assert features.see(images(3)).features.shape == (3, 16)


def test_a_folder_without_dinov2_is_refused(dino):
    (dino / "config.json").write_text("{")
    with pytest.raises(DataError, match="is no DINOv2 as transformers saves it"):
        DinoV2.load(dino, GREY, CPU)
    (dino / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read: No such file"):
        DinoV2.load(dino, GREY, CPU)
