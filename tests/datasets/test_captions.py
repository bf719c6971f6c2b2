"""Texts about the images of a folder."""

import json

import pytest
import torch
from PIL import Image

from diffx_core import DataError
from diffx_core.testing import DatasetSuite
from diffx_datasets.captions import one_line
from diffx_datasets.image_folder import ImageFolder

NAMES = ("sand/2.png", "sea/1.png", "sea/3.png")
TEXTS = ("yellow sand", "waves at noon", "Möwen 🐦")


def folder(root):
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (len(name), 90, 200)).save(root / name)
    return root


def beside(root):
    for name, text in zip(NAMES, TEXTS, strict=True):
        (folder(root) / name).with_suffix(".txt").write_text(text, encoding="utf-8")
    return root


def metadata(root, *rows):
    rows = rows or [
        {"file_name": name, "text": text} for name, text in zip(NAMES, TEXTS, strict=True)
    ]
    lines = "\n\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows)
    (folder(root) / "metadata.jsonl").write_text(lines, encoding="utf-8")
    return root


WRITTEN = {"txt": beside, "jsonl": metadata}


def captions(root, **options):
    data = ImageFolder(root=root, size=8, **options)
    return data.batch(torch.arange(len(data))).captions


@pytest.fixture(params=[True, False], ids=["stream", "keep"])
def stream(request):
    return request.param


@pytest.mark.parametrize("files", WRITTEN)
def test_each_image_has_its_text(tmp_path, files, stream):
    found = captions(WRITTEN[files](tmp_path), captions=files, stream=stream)
    assert tuple(found) == TEXTS


def test_without_being_asked_for_there_are_no_captions(tmp_path):
    assert captions(beside(tmp_path)) is None
    assert not ImageFolder(root=tmp_path, size=8).spec.captions


class TestCaptioned(DatasetSuite):
    @pytest.fixture(autouse=True)
    def root(self, tmp_path, stream):
        self.data = ImageFolder(root=beside(tmp_path), size=8, captions="txt", stream=stream)

    def component(self):
        return self.data


def test_a_text_is_one_line(tmp_path):
    (beside(tmp_path) / "sea/1.txt").write_text("  waves\r\n at\tnoon \n", encoding="utf-8")
    assert captions(tmp_path, captions="txt")[1] == "waves at noon"


def test_a_text_that_changes_is_read_again(tmp_path):
    before = captions(beside(tmp_path), captions="txt")
    (tmp_path / "sea/1.txt").write_text("waves at midnight", encoding="utf-8")
    assert captions(tmp_path, captions="txt") == [before[0], "waves at midnight", before[2]]


def test_a_column_may_be_called_caption(tmp_path):
    rows = [{"file_name": name, "caption": "", "size": 3} for name in NAMES]
    assert captions(metadata(tmp_path, *rows), captions="jsonl") == ["", "", ""]


BAD_TEXTS = {
    "missing": (None, "sea/1.png: has no caption (1.txt: No such file"),
    "bytes": (b"\xff\xfe", "sea/1.png: has 1.txt beside it, which is not UTF-8"),
    "long": (b"x" * 70_000, "sea/1.png: has 1.txt beside it, too long for a caption"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_text_that_cannot_be_used_is_named_or_left_out_with_its_image(tmp_path, case, stream):
    written, reason = BAD_TEXTS[case]
    file = beside(tmp_path) / "sea/1.txt"
    if written is None:
        file.unlink()
    else:
        file.write_bytes(written)
    with pytest.raises(DataError) as caught:
        captions(tmp_path, captions="txt", stream=stream)
    assert reason in str(caught.value)
    found = captions(tmp_path, captions="txt", stream=stream, on_bad="skip")
    assert set(found) == {TEXTS[0], TEXTS[2]}


def test_an_image_that_the_metadata_lack_is_left_out_if_asked_for(tmp_path, stream):
    rows = [{"file_name": NAMES[k], "text": TEXTS[k]} for k in (0, 2)]
    options = {"captions": "jsonl", "stream": stream, "on_bad": "skip"}
    assert set(captions(metadata(tmp_path, *rows), **options)) == {TEXTS[0], TEXTS[2]}
    with pytest.raises(DataError, match=r"no line about sea/.\.png.*max_bad"):
        captions(metadata(tmp_path, rows[0]), **options)


HALF = "cat \ud83d"


def test_half_a_character_is_refused_with_its_line_or_left_out(tmp_path, stream):
    rows = [{"file_name": NAMES[k], "text": TEXTS[k]} for k in (0, 2)]
    rows.insert(1, {"file_name": NAMES[1], "text": HALF})
    options = {"captions": "jsonl", "stream": stream}
    reason = (
        r"sea/1\.png: has no caption \(metadata\.jsonl:3 has a text with '\\ud83d'.*on_bad skip"
    )
    with pytest.raises(DataError, match=reason):
        captions(metadata(tmp_path, *rows), **options)
    assert set(captions(tmp_path, **options, on_bad="skip")) == {TEXTS[0], TEXTS[2]}


@pytest.mark.parametrize("text", ["\U0001f408", "Möwe", "", "\ufffd"])
def test_whole_characters_are_kept(text):
    assert one_line(text) == text


GOOD = {"file_name": "sea/1.png", "text": ""}
BAD_ROWS = {
    "no-json": ([GOOD, "{"], "metadata.jsonl:3: is not JSON"),
    "no-object": (["[1]"], 'metadata.jsonl:1: needs "file_name" and one of "text" and "caption"'),
    "no-text": ([{"file_name": "sea/1.png"}], 'metadata.jsonl:1: needs "file_name" and one of'),
    "no-string": ([{**GOOD, "text": 3}], 'metadata.jsonl:1: needs "file_name" and one of'),
    "two": ([{**GOOD, "caption": ""}], 'metadata.jsonl:1: needs "file_name" and one of'),
    "twice": ([GOOD, GOOD], "metadata.jsonl:3: sea/1.png is there twice"),
    "absent": ([{**GOOD, "file_name": "../1.png"}], "there is no image ../1.png in"),
    "missing": ([GOOD], "no caption for sand/2.png (2 of 3 images have none)"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_metadata_that_are_not_about_the_images_are_refused(tmp_path, case):
    rows, reason = BAD_ROWS[case]
    with pytest.raises(DataError) as caught:
        captions(metadata(tmp_path, *rows), captions="jsonl")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("written", "reason"), [(None, "No such file"), (b"\xff", "it is not UTF-8 text")]
)
def test_metadata_that_cannot_be_read_are_refused(tmp_path, written, reason):
    if written is not None:
        (folder(tmp_path) / "metadata.jsonl").write_bytes(written)
    with pytest.raises(DataError, match=reason):
        captions(folder(tmp_path), captions="jsonl")


def test_another_place_for_captions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="captions"):
        ImageFolder(root=tmp_path, captions="csv")
