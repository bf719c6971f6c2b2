"""What a user gives to a model is read as the model has it, or refused with the reason."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffx_cli.picture.pictures import to_bytes
from diffx_cli.use.given import Giver
from diffx_core import DataSpec
from diffx_core.errors import DataError

GREY = DataSpec((1, 8, 8), value_range=(-1, 1))
COLOUR = DataSpec((3, 8, 8), value_range=(0, 1))
POINTS = DataSpec((2,))
BYTES = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def drawn(name, values=BYTES, mode=None):
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(name)
    return Path(name)


def read(spec, *paths, fit=False):
    return Giver("--images", spec, fit).examples([Path(path) for path in paths])


def refusal(spec, *paths, fit=False):
    with pytest.raises(DataError) as caught:
        read(spec, *paths, fit=fit)
    (line,) = caught.value.problems
    return line


def test_the_bytes_of_an_image_come_back():
    given = read(GREY, drawn("a.png"))
    assert given.names == ("a.png",)
    assert given.x.shape == (1, 1, 8, 8)
    assert to_bytes(given.x, GREY)[0, 0].numpy().tolist() == BYTES.tolist()


def test_colours_come_first_and_in_the_range_of_the_data():
    values = np.zeros((8, 8, 3), np.uint8)
    values[..., 1] = 255
    x = read(COLOUR, drawn("a.png", values)).x
    assert x.amax((0, 2, 3)).tolist() == [0, 1, 0]


def test_a_palette_is_what_it_shows():
    values = np.full((8, 8, 3), 255, np.uint8)
    assert read(COLOUR, drawn("a.png", values, "P")).x.min() == 1


def test_a_picture_of_few_levels_is_on_them():
    spec = DataSpec((1, 8, 8), value_range=(-1, 1), levels=17)
    x = torch.linspace(-1, 1, 17).repeat(4)[:64].reshape(1, 1, 8, 8)
    drawn("a.png", to_bytes(x, spec)[0, 0].numpy())
    torch.testing.assert_close(read(spec, "a.png").x, x, rtol=0, atol=1e-7)


def test_values_between_the_levels_stay_there():
    spec = DataSpec((1, 8, 8), value_range=(-1, 1), levels=17)
    x = read(spec, drawn("a.png", np.full((8, 8), 8, np.uint8))).x
    torch.testing.assert_close(x, torch.full_like(x, 8 / 127.5 - 1))


@pytest.mark.parametrize("levels", [None, 2, 17, 239, 256])
@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1)])
def test_every_byte_comes_back_whatever_the_levels(levels, value_range):
    spec = DataSpec((1, 16, 16), value_range=value_range, levels=levels)
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    x = read(spec, drawn("a.png", values)).x
    assert to_bytes(x, spec)[0, 0].numpy().tolist() == values.tolist()


def test_folders_and_files_are_read_in_order():
    Path("folder").mkdir()
    for name in ("folder/2.png", "folder/1.png", "alone.png"):
        drawn(name)
    assert read(GREY, "alone.png", "folder").names == ("alone.png", "folder/1.png", "folder/2.png")


def test_numbers_are_read_from_a_tensor():
    x = torch.randn(3, 2)
    save_file({"samples": x, "other": torch.zeros(1)}, "points.safetensors")
    given = read(POINTS, "points.safetensors")
    assert torch.equal(given.x, x)
    assert given.names[2] == "points.safetensors[2]"


@pytest.mark.parametrize(
    ("values", "mode", "words"),
    [
        (np.zeros((8, 9), np.uint8), None, "is 9x8 pixels, and the model's images are 8x8; --fit"),
        (np.zeros((8, 8, 3), np.uint8), None, "of mode RGB, and the model's images are grey"),
        (np.zeros((8, 8, 4), np.uint8), None, "with transparency"),
        (np.zeros((8, 8), np.uint16), None, "of mode I;16"),
    ],
    ids=["size", "colours", "transparency", "depth"],
)
def test_another_image_is_refused_unless_it_is_to_be_fitted(values, mode, words):
    drawn("a.png", values, mode)
    assert words in refusal(GREY, "a.png")
    assert read(GREY, "a.png", fit=True).x.shape == (1, 1, 8, 8)


def test_a_grey_image_is_refused_by_a_model_of_colours():
    assert "of mode L, and the model's images are in colour" in refusal(COLOUR, drawn("a.png"))


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, 5), r"is (3, 5), and the model's data are (n, 2)"),
        (torch.zeros(0, 2), "is (0, 2)"),
        (torch.full((1, 2), torch.nan), "not finite"),
        (torch.full((1, 2), 1e300, dtype=torch.float64), "not finite, as float32"),
        (torch.ones(1, 2, dtype=torch.int64), "numbers of type int64; give it float32"),
        (torch.ones(1, 2, dtype=torch.complex64), "numbers of type complex64"),
    ],
    ids=["shape", "none", "nan", "large", "int", "complex"],
)
def test_other_numbers_are_refused(tensor, words):
    save_file({"x": tensor}, "x.safetensors")
    assert words in refusal(POINTS, "x.safetensors")


def test_numbers_of_eight_bits_are_read():
    save_file({"x": torch.ones(1, 2, dtype=torch.float8_e4m3fn)}, "x.safetensors")
    assert read(POINTS, "x.safetensors").x.tolist() == [[1, 1]]


def test_numbers_are_not_fitted():
    save_file({"x": torch.zeros(1, 2)}, "x.safetensors")
    assert "--fit: is for images" in refusal(POINTS, "x.safetensors", fit=True)


def test_numbers_out_of_range_are_refused():
    save_file({"x": torch.full((1, 1, 8, 8), 1.5)}, "x.safetensors")
    assert "has values from 1.5 to 1.5, and the model's data are from -1 to 1" in refusal(
        GREY, "x.safetensors"
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.png", b"text", "is not an image"),
        ("absent.png", None, "absent.png: is not there"),
        ("text.safetensors", b"text", "is no .safetensors file"),
        ("absent.safetensors", None, "is not there"),
    ],
)
def test_what_cannot_be_read_is_named(name, content, words):
    if content is not None:
        Path(name).write_bytes(content)
    line = refusal(GREY, name)
    assert name in line
    assert words in line


def test_a_folder_without_images_is_refused():
    Path("folder").mkdir()
    assert "there are no images" in refusal(GREY, "folder")


def test_a_model_of_points_reads_no_images():
    assert "the model makes no images" in refusal(POINTS, drawn("a.png"))


def masked(path, n=1, spec=GREY, fit=False):
    return Giver("--mask", spec, fit).masks(Path(path), n)


def test_a_mask_keeps_what_is_black():
    values = np.zeros((8, 8), np.uint8)
    values[:, 4:] = 255
    known = masked(drawn("mask.png", values), n=3, spec=COLOUR)
    assert known.shape == (1, 1, 8, 8)
    assert known[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (BYTES, "has greys"),
        (np.zeros((8, 4), np.uint8), "is 4x8 pixels"),
    ],
    ids=["greys", "size"],
)
def test_what_is_no_mask_is_refused_unless_it_is_to_be_fitted(values, words):
    drawn("mask.png", values)
    with pytest.raises(DataError, match=words):
        masked("mask.png")
    assert set(masked("mask.png", fit=True).unique().tolist()) <= {0, 1}


@pytest.mark.parametrize("fit", [False, True])
def test_what_is_transparent_in_a_mask_is_not_guessed(fit):
    values = np.zeros((8, 8, 4), np.uint8)
    values[:, 4:, 3] = 255
    with pytest.raises(DataError, match="has transparency"):
        masked(drawn("mask.png", values), fit=fit)


def test_there_are_as_many_masks_as_examples():
    Path("masks").mkdir()
    for name in ("1", "2"):
        drawn(f"masks/{name}.png", np.zeros((8, 8), np.uint8))
    assert len(masked("masks", n=2)) == 2
    with pytest.raises(DataError, match="has 2 masks for 3 examples"):
        masked("masks", n=3)
