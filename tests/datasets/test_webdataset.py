"""Images in tar shards, as they are written by others, whole and harmful."""

import gzip
import json
import tarfile

import pytest
import torch

from diffx_cli.__main__ import main
from diffx_core import DataError
from diffx_datasets.webdataset import WebDataset
from published_formats import COLOURS, add_member, png, raw_header, shard_files, write_shard


@pytest.fixture
def root(tmp_path):
    write_shard(tmp_path / "shards" / "train-000000.tar", range(7))
    write_shard(tmp_path / "shards" / "train-000001.tar", range(7, 12))
    return tmp_path / "shards"


def data(root, **options):
    return WebDataset(root=root, **{"size": 8} | options)


def whole(one):
    return one.batch(torch.arange(len(one)))


def colours(x):
    return ((x[:, :, 4, 4] + 1) * 127.5).round().long().tolist()


@pytest.mark.parametrize("stream", [True, False])
def test_examples_come_in_the_order_of_shards_and_files(root, stream):
    batch = whole(data(root, caption="txt", stream=stream))
    assert colours(batch.x) == COLOURS
    assert batch.cond.label.tolist() == [k % 3 for k in range(12)]
    assert list(batch.captions) == [f"a colour, ünïque: {k}" for k in range(12)]


def test_the_facts_are_those_of_the_shards(root):
    spec = data(root, grey=True).spec
    assert (spec.shape, spec.num_classes, spec.captions) == ((1, 8, 8), 3, False)
    assert data(root, caption="txt").spec.captions


@pytest.mark.parametrize("stream", [True, False])
def test_labels_and_texts_may_be_fields_of_a_json_file(root, stream):
    batch = whole(data(root, label="json.kind", caption="json.said", stream=stream))
    assert batch.cond.label.tolist() == [k % 2 for k in range(12)]
    assert batch.captions[3] == "colour 3"


@pytest.mark.parametrize("stream", [True, False])
def test_a_text_is_one_line(tmp_path, stream):
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        add_member(archive, "0.png", png(COLOURS[0]))
        add_member(archive, "0.txt", b" waves\r\n at\tnoon \n")
        add_member(archive, "0.json", json.dumps({"said": "waves\nat noon\n"}).encode())
    for part in ("txt", "json.said"):
        batch = whole(data(tmp_path / "one.tar", caption=part, stream=stream))
        assert batch.captions == ["waves at noon"]


@pytest.mark.parametrize("value", [None, True, ["a", "b"], {"of": "x"}, 0.5])
def test_a_field_that_is_no_text_is_no_caption(tmp_path, value):
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w") as archive:
        add_member(archive, "0.png", png(COLOURS[0]))
        add_member(archive, "0.json", json.dumps({"said": value}).encode())
    reason = r"one\.tar: 0\.png: has no caption \(the json\.said at byte .* is neither a text"
    with pytest.raises(DataError, match=reason):
        whole(data(path, label="", caption="json.said", stream=True))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("part", ["json.said", "txt"])
def test_examples_without_a_text_are_left_out_if_asked_for(tmp_path, part, stream):
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w") as archive:
        for k, text in enumerate(("sand", None, "sea")):
            add_member(archive, f"{k}.png", png(COLOURS[k]))
            add_member(archive, f"{k}.json", json.dumps({"said": text}).encode())
            if text is not None:
                add_member(archive, f"{k}.txt", text.encode())
    options = {"label": "", "caption": part, "stream": stream}
    with pytest.raises(DataError, match=r"--dataset\.on_bad skip"):
        whole(data(path, **options))
    found = whole(data(path, **options, on_bad="skip"))
    assert set(found.captions) == {"sand", "sea"}
    assert {tuple(one) for one in colours(found.x)} == {tuple(COLOURS[0]), tuple(COLOURS[2])}


@pytest.mark.parametrize("stream", [True, False])
def test_half_a_character_is_refused_or_left_out(tmp_path, stream):
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w") as archive:
        for k, text in enumerate(("sand", "cat \ud83d", "sea")):
            add_member(archive, f"{k}.png", png(COLOURS[k]))
            add_member(archive, f"{k}.json", json.dumps({"said": text}).encode())
    options = {"label": "", "caption": "json.said", "stream": stream}
    with pytest.raises(DataError, match=r"one\.tar: 1\.png: .* half of a character.*on_bad skip"):
        whole(data(path, **options))
    assert set(whole(data(path, **options, on_bad="skip")).captions) == {"sand", "sea"}


def test_a_shard_that_goes_away_is_named(tmp_path):
    one = data(write_shard(tmp_path / "one.tar", range(3)), stream=True)
    whole(one)
    (tmp_path / "one.tar").unlink()
    with pytest.raises(DataError, match=r"one\.tar: byte \d+.* cannot be read"):
        whole(one)


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_folders_and_every_format_are_read(tmp_path, kind):
    folder = "a-folder-of-a-long-name/" * 4
    path = write_shard(tmp_path / "one.tar", range(5), folder=folder, kind=kind)
    assert colours(whole(data(path)).x) == COLOURS[:5]


def test_images_without_labels(tmp_path):
    batch = whole(data(write_shard(tmp_path / "one.tar", range(5), without=("cls",))))
    assert batch.cond.label is None
    assert batch.captions is None


def without_end(path):
    """The blocks of an archive up to those of zeros that end it."""
    content = path.read_bytes().rstrip(b"\0")
    return content + b"\0" * (-len(content) % 512)


def test_an_archive_that_is_cut_off_between_two_members_is_refused(tmp_path):
    path = write_shard(tmp_path / "one.tar", range(3))
    content = without_end(path)
    for end in (b"", b"\0" * 511):
        path.write_bytes(content + end)
        with pytest.raises(DataError, match=rf"one\.tar: is cut off after {len(content)} bytes"):
            data(path).examples()
    path.write_bytes(content + b"\0" * 512)
    assert len(data(path)) == 3


def test_archives_that_are_strung_together_are_refused(tmp_path):
    first, second = (write_shard(tmp_path / f"{k}.tar", [k]) for k in range(2))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(DataError, match=r"0\.tar: goes on after the end of an archive"):
        data(first).examples()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([("png", 0), ("cls", 0)], r"0000 has two files \.png"),
        ([("cls", 0)], r"0000 has two files \.cls"),
        ([("jpg", 0)], r"0000 has 2 images \(png, jpg\)"),
    ],
)
def test_what_an_example_has_twice_is_refused(tmp_path, more, said):
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w") as archive:
        for kind, content in shard_files(0).items():
            add_member(archive, f"0000.{kind}", content)
        for kind, number in more:
            add_member(archive, f"{number:04}.{kind}", shard_files(number).get(kind, b""))
    with pytest.raises(DataError, match=rf"one\.tar: {said}"):
        data(path).examples()


def test_shards_are_looked_through_once(root, monkeypatch):
    before = whole(data(root)).x
    monkeypatch.setattr("diffx_datasets.webdataset.members", None)
    assert torch.equal(whole(data(root)).x, before)


def test_a_new_shard_is_seen(root):
    assert len(data(root)) == 12
    write_shard(root / "train-000002.tar", range(2))
    assert len(data(root)) == 14


HARMFUL = {
    "climbing": (lambda a: add_member(a, "../0.png", png(COLOURS[0])), "leads out of its folder"),
    "absolute": (lambda a: add_member(a, "/0.png", png(COLOURS[0])), "leads out of its folder"),
    "backslash": (lambda a: add_member(a, "..\\0.png", png(COLOURS[0])), "leads out of its folder"),
    "nameless": (lambda a: add_member(a, ".", png(COLOURS[0])), "has no name"),
    "link": (
        lambda a: add_member(a, "0.png", type=tarfile.SYMTYPE, linkname="/x"),
        "link",
    ),
    "hard link": (lambda a: add_member(a, "0.png", type=tarfile.LNKTYPE, linkname="x"), "link"),
    "device": (lambda a: add_member(a, "0.png", type=tarfile.CHRTYPE), "link or such"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_shards_are_refused(tmp_path, kind):
    make, reason = HARMFUL[kind]
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as archive:
        add_member(archive, "1.png", png(COLOURS[1]))
        make(archive)
    with pytest.raises(DataError, match=rf"bad\.tar is refused: .*{reason}"):
        data(path).examples()


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-12000])


def damaged(path):
    content = bytearray(path.read_bytes())
    start = content.index(b"0001.cls")
    content[start : start + 100] = b"#" * 100
    path.write_bytes(content)


def compressed(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (cut_off, "cut off|unexpected end|damaged"),
        (damaged, "is damaged after"),
        (compressed, "no tar archive"),
        (lambda path: path.write_bytes(b""), "no tar archive"),
    ],
    ids=["cut off", "damaged", "compressed", "empty"],
)
def test_broken_shards_are_refused(tmp_path, harm, reason):
    path = write_shard(tmp_path / "one.tar", range(4))
    harm(path)
    with pytest.raises(DataError, match=rf"one\.tar.*({reason})") as caught:
        data(path).examples()
    assert len(str(caught.value).splitlines()) == 1


def test_a_member_that_claims_more_than_there_is_is_refused(tmp_path):
    path = write_shard(tmp_path / "one.tar", range(1))
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("9.png")
        member.size = 10**9
        archive.addfile(member)
    with pytest.raises(DataError, match=r"cut off in '9\.png'|unexpected end"):
        data(path).examples()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [-512, -1024, 2**33, 2**60])
def test_sizes_that_lead_back_or_to_no_end_are_refused(tmp_path, kind, size):
    path, end = tmp_path / "one.tar", b"\0" * 1024
    blocks = raw_header("0.png", 0) + raw_header("1.png", size, kind) + raw_header("2.png", 0)
    path.write_bytes(blocks + end)
    with pytest.raises(DataError, match=r"one\.tar"):
        data(path).examples()


@pytest.mark.parametrize("stream", [True, False])
def test_a_bad_image_is_named_by_shard_and_file(root, stream):
    with tarfile.open(root / "train-000002.tar", "w") as archive:
        for kind, content in {**shard_files(1), "png": b"no image"}.items():
            add_member(archive, f"deep/{7:04}.{kind}", content)
    with pytest.raises(DataError, match=r"000002\.tar: deep/0007\.png: is not an image.*on_bad"):
        whole(data(root, stream=stream))
    assert len(whole(data(root, stream=stream, on_bad="skip")).x) == 12 + stream


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cls": b"three"}, "says 'three', which is no class number"),
        ({"cls": b"-1"}, "says '-1'"),
        ({"cls": "³".encode()}, "no class number"),
        ({"cls": b"9" * 40}, "no class number"),
        ({"cls": b"\xff"}, "the cls at byte"),
        ({"png": None}, "0001 has no image: it has cls, json, txt"),
        ({"cls": None}, "has labels for 1 of 2 examples"),
        ({"txt": None}, "has texts for 1 of 2 examples; --dataset.caption"),
    ],
)
def test_examples_that_make_no_sense_are_refused(tmp_path, change, said):
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w") as archive:
        for number, changed in ((0, {}), (1, change)):
            for kind, content in (shard_files(number) | changed).items():
                if content is not None:
                    add_member(archive, f"{number:04}.{kind}", content)
    with pytest.raises(DataError, match=said):
        data(path, caption="txt").examples()


def test_a_missing_field_is_named(root):
    with pytest.raises(DataError, match="no field 'kimd'"):
        data(root, label="json.kimd").examples()
    with pytest.raises(DataError, match="have no text"):
        data(root, caption="text").examples()


def test_without_shards_one_line_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no \.tar files in .*--dataset\.root"):
        data(tmp_path).examples()


def test_it_trains_from_the_command_line_with_workers(root, tmp_path):
    words = ["--dataset", "webdataset", "--dataset.root", str(root), "--dataset.size", "8"]
    words += ["--dataset.stream", "true", "--train.workers", "2", "--out", str(tmp_path / "run")]
    assert main(["train", *words, "--train.steps", "2", "--train.batch_size", "4"]) == 0
