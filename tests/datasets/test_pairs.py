"""Images that are told another image: pairs of files of the same path in two folders."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_cli.__main__ import main
from diffx_core import ConfigError, DataError, Pipeline
from diffx_core.testing import DatasetSuite
from diffx_datasets.image_folder import ImageFolder

N, SIZE = 10, 8


def write(path, pixels, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(path)


@pytest.fixture
def folders(tmp_path):
    """Noise, and beside it the same with red and blue exchanged, in another format."""
    random = np.random.default_rng(0)
    for k in range(N):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        write(tmp_path / "sharp" / "ab"[k % 2] / f"{k}.png", pixels)
        write(tmp_path / "beside" / "ab"[k % 2] / f"{k}.bmp", pixels[..., ::-1].copy())
    return tmp_path / "sharp", tmp_path / "beside"


def pairs(folders, **options):
    root, beside = folders
    return ImageFolder(root=root, beside=beside, **{"size": SIZE} | options)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_each_image_is_told_its_own_mirrored_alike(folders, stream, flip):
    data = pairs(folders, stream=stream, flip=flip)
    batch = data.augmented(torch.tensor([7, 0, 3, 3]), seed=0, step=4)
    assert batch.x.shape == batch.cond.image.shape == (4, 3, SIZE, SIZE)
    assert torch.equal(batch.cond.image, batch.x.flip(1))
    assert batch.cond.label.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("stream", [True, False])
def test_the_facts_are_those_of_the_images_alone(folders, stream):
    alone = ImageFolder(root=folders[0], size=SIZE, stream=stream)
    paired = pairs(folders, stream=stream)
    assert (paired.spec.paired, alone.spec.paired) == (True, False)
    assert paired.spec.shape == alone.spec.shape
    assert paired.spec.sigma_data == alone.spec.sigma_data
    assert paired.fingerprint != alone.fingerprint
    assert torch.equal(paired.batch(torch.arange(N)).x, alone.batch(torch.arange(N)).x)


def test_a_small_version_is_brought_to_the_same_size(folders, tmp_path):
    for k in range(N):
        write(tmp_path / "small" / "ab"[k % 2] / f"{k}.png", np.full((2, 2, 3), k, np.uint8), 2)
    image = pairs((folders[0], tmp_path / "small")).batch(torch.tensor([9])).cond.image
    assert (((image + 1) * 127.5).round() == 9).all()


@pytest.mark.parametrize("stream", [True, False])
def test_a_bad_one_is_named_with_the_image_that_it_belongs_to(folders, stream):
    (folders[1] / "b" / "7.bmp").write_bytes(b"x")
    with pytest.raises(DataError, match=r"sharp/b/7\.png: belongs to .*b/7\.bmp, which is not an"):
        pairs(folders, stream=stream).batch(torch.arange(N))
    data = pairs(folders, stream=stream, on_bad="skip")
    batch = data.batch(torch.arange(len(data)))
    assert torch.equal(batch.cond.image, batch.x.flip(1))


def test_a_missing_one_is_named(folders):
    (folders[1] / "b" / "7.bmp").unlink()
    with pytest.raises(DataError, match=r"1 of 10 images have none beside .*the first is b/7"):
        _ = pairs(folders).spec


def test_two_of_one_name_are_refused(folders):
    write(folders[1] / "b" / "7.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"7\.png and 7\.bmp have the same name"):
        _ = pairs(folders).spec


def test_a_folder_that_is_not_there_is_named(folders, tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a folder; --dataset\.beside"):
        _ = pairs((folders[0], tmp_path / "nowhere")).spec


def trained(folders, out, *more):
    words = ["--dataset", "image_folder", "--dataset.root", str(folders[0]), "--dataset.size", "8"]
    words += ["--train.steps", "6", "--train.batch_size", "4", "--train.workers", "1"]
    words += ["--train.warmup", "0", "--train.lr", "0.02"]  # the output begins at zero
    assert main(["train", *words, "--backbone.preset", "tiny", "--out", str(out), *more]) == 0
    return str(out)


@pytest.mark.parametrize("stream", ["true", "false"])
def test_pairs_are_trained_on_and_samples_are_told_images(folders, tmp_path, stream, capsys):
    told = str(folders[1])
    run = trained(folders, tmp_path / "run", "--dataset.beside", told, "--dataset.stream", stream)
    drawn = []
    for one in (told, told, str(folders[0] / "a" / "0.png")):
        out = tmp_path / f"drawn{len(drawn)}"
        words = ["--n", "3", "--steps", "2", "--out", str(out), "--beside", one]
        assert main(["sample", run, *words]) == 0
        drawn.append((out / "grid.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]
    capsys.readouterr()
    assert main(["sample", run, "--n", "3", "--steps", "2"]) == 2
    assert "--beside: the model reads images" in capsys.readouterr().err
    assert main(["sample", run, "--n", "3", "--beside", str(tmp_path / "none")]) == 4
    assert "there are no images" in capsys.readouterr().err


def test_samples_are_told_the_same_images_again(folders, tmp_path, capsys):
    run = trained(folders, tmp_path / "run", "--dataset.beside", str(folders[1]))
    words = ["--n", "5", "--steps", "2", "--batch-size", "2", "--beside", str(folders[1])]
    assert main(["sample", run, *words, "--out", str(tmp_path / "a")]) == 0
    again = ["sample", "--from", str(tmp_path / "a" / "sample.json")]
    assert main([*again, "--out", str(tmp_path / "b")]) == 0
    first, second = ((tmp_path / one / "grid.png").read_bytes() for one in "ab")
    assert first == second
    told = folders[1] / "a" / "0.bmp"
    Image.open(told).transpose(Image.Transpose.ROTATE_90).save(told)
    assert main([*again, "--out", str(tmp_path / "c")]) == 4
    assert "are not the images of" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_model_of_no_pairs_is_told_no_images(folders, tmp_path, capsys):
    run = trained(folders, tmp_path / "run")
    assert main(["sample", run, "--n", "3", "--beside", str(folders[1])]) == 2
    assert "--beside: the model was not trained on pairs" in capsys.readouterr().err


def test_a_pipeline_takes_one_image_for_each_sample(folders, tmp_path):
    run = trained(folders, tmp_path / "run", "--dataset.beside", str(folders[1]))
    pipeline = Pipeline.load(run)
    image = pairs(folders).batch(torch.arange(2)).cond.image
    first = pipeline.sample(2, steps=2, image=image)
    one_by_one = pipeline.sample(2, steps=2, image=image, batch_size=1)
    torch.testing.assert_close(one_by_one, first, atol=1e-4, rtol=1e-4)
    assert (pipeline.sample(2, steps=2, image=image.flip(0)) - first).abs().max() > 1e-2
    with pytest.raises(ConfigError, match=r"reads an image beside each sample: give \(2, "):
        pipeline.sample(2, steps=2)
    with pytest.raises(ConfigError, match=r"are \(2, 3, 8, 8\), and have to be \(3, 3, 8, 8\)"):
        pipeline.sample(3, steps=2, image=image)


class TestPairs(DatasetSuite):
    @pytest.fixture(autouse=True)
    def one(self, folders):
        self.dataset = pairs(folders, flip=True)

    def component(self):
        return self.dataset
