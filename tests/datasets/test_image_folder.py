"""Folders of images, good and bad."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_core import DataError
from diffx_datasets.image_folder import ImageFolder

RED, BLUE = (250, 10, 20), (5, 15, 240)


def picture(path, colour=RED, size=(20, 12), **saved):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **saved)
    return path


def images(root, **options):
    data = ImageFolder(root=root, **{"size": 8} | options)
    return data.batch(torch.arange(len(data)))


def levels(x):
    return ((x + 1) * 127.5).round().long()


def one(root, **options):
    """The middle pixel of the only image."""
    (x,) = images(root, **options).x
    return levels(x)[:, 4, 4].tolist()


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path):
    picture(tmp_path / "b" / "1.png", RED)
    picture(tmp_path / "b" / "deeper" / "3.webp", RED, lossless=True)
    picture(tmp_path / "a" / "2.jpg", BLUE)
    batch = images(tmp_path)
    assert batch.cond.label.tolist() == [0, 1, 1]
    assert levels(batch.x)[1:, :, 4, 4].tolist() == [list(RED), list(RED)]
    assert ImageFolder(root=tmp_path).spec.num_classes == 2


def test_without_sub_folders_there_are_no_labels(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "notes.txt").write_text("not an image")
    assert images(tmp_path).cond.label is None
    assert one(tmp_path) == list(RED)


def test_the_largest_centred_square_is_taken(tmp_path):
    wide = np.zeros((12, 36, 3), np.uint8)
    wide[:, 12:24] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (levels(images(tmp_path, size=12).x) == 200).all()


def test_shrinking_is_antialiased(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    grey = levels(images(tmp_path, size=8).x)[:, :, 2:-2, 2:-2]
    assert (grey - 127.5).abs().max() < 3


def test_grey_keeps_brightness_only(tmp_path):
    picture(tmp_path / "1.png", (100, 100, 100))
    assert images(tmp_path, grey=True).x.shape == (1, 1, 8, 8)
    assert one(tmp_path, grey=True) == [100]


def test_a_palette_with_transparency_is_laid_on_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *BLUE])
    image.save(tmp_path / "1.png", transparency=0)
    assert one(tmp_path) == [255, 255, 255]


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 51)).save(tmp_path / "1.png")
    assert one(tmp_path) == [204, 204, 204]


def test_sixteen_bits_are_scaled(tmp_path):
    Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)).save(tmp_path / "1.png")
    assert one(tmp_path) == [100, 100, 100]


def test_print_colours_are_converted(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "1.jpg", quality=100)
    red, green, blue = one(tmp_path)
    assert red > 200
    assert max(green, blue) < 60


def test_photographs_are_turned_as_their_exif_data_say(tmp_path):
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored with its top at the right
    Image.fromarray(halves).save(tmp_path / "1.png", exif=exif)
    (x,) = images(tmp_path, size=16).x
    assert (x[:, :, :8] == -1).all()
    assert (x[:, :, 8:] == 1).all()


def test_a_single_pixel_is_an_image(tmp_path):
    picture(tmp_path / "1.png", size=(1, 1))
    assert one(tmp_path) == list(RED)


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def bomb(path, side=60_000):
    picture(path, size=(1, 1))
    content = bytearray(path.read_bytes())
    content[16:24] = side.to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


def film(path):
    first, second = Image.new("L", (8, 8), 0), Image.new("L", (8, 8), 255)
    first.save(path, format="GIF", save_all=True, append_images=[second])


BAD = {
    "truncated": (truncated, "cannot be decoded"),
    "empty": (lambda path: path.write_bytes(b""), "not an image"),
    "text": (lambda path: path.write_text("hello"), "not an image"),
    "bomb": (bomb, "too many pixels"),
    "film": (film, "a film of 2 images"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_with_the_reason_and_the_remedy(tmp_path, kind):
    make, reason = BAD[kind]
    picture(tmp_path / "1.png")
    make(tmp_path / "2.png")
    with pytest.raises(DataError, match=rf"2\.png: .*{reason}.*--dataset\.on_bad skip") as caught:
        images(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_pillow_only_warns_of_is_bad_too(tmp_path):
    bomb(tmp_path / "1.png", side=10_000)
    with pytest.raises(DataError, match=r"1\.png: claims to have too many pixels"):
        images(tmp_path)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_can_be_left_out_with_its_label(tmp_path, cache, caplog, kind):
    picture(tmp_path / "a" / "1.png", RED)
    BAD[kind][0](picture(tmp_path / "b" / "2.png"))
    picture(tmp_path / "b" / "3.png", BLUE)
    batch = images(tmp_path, on_bad="skip")
    assert batch.cond.label.tolist() == [0, 1]
    assert levels(batch.x)[:, :, 4, 4].tolist() == [list(RED), list(BLUE)]
    assert "left out 1 of 3" in caplog.text
    (facts,) = cache.glob("*/facts.json")
    assert "2.png" in facts.read_text()


def test_only_so_many_may_be_left_out(tmp_path):
    for k in range(8):
        picture(tmp_path / f"{k}.png")
    for k in range(3):
        (tmp_path / f"bad{k}.png").touch()
    with pytest.raises(DataError, match="2 files cannot be used, 1 may be left out"):
        images(tmp_path, on_bad="skip")
    with pytest.raises(DataError, match="3 files cannot be used, 2 may be left out"):
        images(tmp_path, on_bad="skip", max_bad=0.2)
    assert len(images(tmp_path, on_bad="skip", max_bad=0.3).x) == 8


def test_a_changed_folder_is_decoded_again(tmp_path):
    picture(tmp_path / "1.png")
    assert len(images(tmp_path).x) == 1
    picture(tmp_path / "2.png")
    assert len(images(tmp_path).x) == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "there are no images"),
        (["notes.txt"], "there are no images"),
        (["1.png", "a/2.png"], "1.png and the like"),
        (["a/1.png", "b/notes.txt"], "no images in b"),
    ],
    ids=["empty", "text", "both", "class"],
)
def test_a_folder_without_a_clear_meaning_is_refused(tmp_path, files, said):
    for name in files:
        picture(tmp_path / name) if name.endswith("png") else None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=said):
        images(tmp_path)


def test_a_missing_folder_is_named_with_what_it_should_hold(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a folder; --dataset\.root"):
        images(tmp_path / "nowhere")


def test_flips_are_an_option(tmp_path):
    halves = np.zeros((8, 8, 3), np.uint8)
    halves[:, :4] = 255
    for k in range(64):
        Image.fromarray(halves).save(tmp_path / f"{k}.png")
    for flip, seen in ((False, {1.0}), (True, {1.0, -1.0})):
        data = ImageFolder(root=tmp_path, size=8, flip=flip)
        x = data.augmented(torch.arange(64), seed=0, step=0).x
        assert set(x[:, 0, 0, 0].tolist()) == seen
