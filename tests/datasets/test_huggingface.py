"""Tables of the library `datasets`, as it saves them itself."""

import io
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from diffx_cli.__main__ import main
from diffx_core import ConfigError, DataError
from diffx_datasets.huggingface import HuggingFace

datasets = pytest.importorskip("datasets", reason="needs datasets")
pyarrow = pytest.importorskip("pyarrow", reason="needs datasets")
arrow = pytest.importorskip("pyarrow.parquet", reason="needs datasets")
COLOURS = np.random.default_rng(0).integers(0, 256, (9, 3)).tolist()


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (20, 12), tuple(colour)).save(file, "PNG")
    return file.getvalue()


def table(n=9, **columns):
    kinds = {
        "picture": datasets.Image(),
        "kind": datasets.ClassLabel(names=["a", "b", "c"]),
        "number": datasets.Value("int32"),
        "said": datasets.Value("string"),
    }
    values = {
        "picture": [{"bytes": png(one), "path": None} for one in COLOURS[:n]],
        "kind": [k % 3 for k in range(n)],
        "number": [k % 2 for k in range(n)],
        "said": [f" ünïque\n {k}" for k in range(n)],
        **columns,
    }
    features = datasets.Features({name: kinds[name] for name in values if values[name] is not None})
    return datasets.Dataset.from_dict({k: values[k] for k in features}, features=features)


def saved(folder, made):
    made.save_to_disk(folder / "saved")
    return folder / "saved"


def in_splits(folder, made):
    datasets.DatasetDict(train=made, test=made.select([0])).save_to_disk(folder / "splits")
    return folder / "splits"


def parquet(folder, made):
    (folder / "data").mkdir()
    made.select(range(5)).to_parquet(folder / "data" / "train-00000-of-00002.parquet")
    made.select(range(5, len(made))).to_parquet(folder / "data" / "train-00001-of-00002.parquet")
    made.select([0]).to_parquet(folder / "data" / "test-00000-of-00001.parquet")
    return folder


def one_file(folder, made):
    made.to_parquet(folder / "all.parquet")
    return folder / "all.parquet"


def data(root, **options):
    return HuggingFace(root=root, **{"size": 8} | options)


def whole(one):
    return one.batch(torch.arange(len(one)))


def colours(x):
    return ((x[:, :, 4, 4] + 1) * 127.5).round().long().tolist()


@pytest.mark.parametrize("save", [saved, in_splits, parquet, one_file])
@pytest.mark.parametrize("stream", [True, False])
def test_a_table_is_read_as_it_was_saved(tmp_path, save, stream):
    batch = whole(data(save(tmp_path, table()), caption="said", stream=stream))
    assert colours(batch.x) == COLOURS
    assert batch.cond.label.tolist() == [k % 3 for k in range(9)]
    assert list(batch.captions) == [f"ünïque {k}" for k in range(9)]


@pytest.mark.parametrize("save", [in_splits, parquet])
def test_a_split_is_chosen(tmp_path, save):
    root = save(tmp_path, table())
    assert len(data(root, split="test")) == 1
    with pytest.raises(DataError, match="validation"):
        len(data(root, split="validation"))


def unnamed(folder, made):
    (folder / "data").mkdir()
    made.to_parquet(folder / "data" / "all.parquet")
    return folder / "data"


@pytest.mark.parametrize("save", [saved, one_file, unnamed])
def test_a_split_of_a_table_that_has_none_is_refused(tmp_path, save):
    root = save(tmp_path, table())
    assert len(data(root, split="train")) == 9
    with pytest.raises(DataError, match=r"no splits in it: leave out --dataset\.split test"):
        len(data(root, split="test"))


@pytest.mark.parametrize(
    "inside", ["splits/test", "data/test-00000-of-00001.parquet"], ids=["saved", "file"]
)
def test_the_name_of_a_split_may_be_said_of_its_own_place(tmp_path, inside):
    made = {one: table().select([0]) for one in ("train", "test")}
    datasets.DatasetDict(made).save_to_disk(tmp_path / "splits")
    parquet(tmp_path, table())
    for split in ("test", "train"):
        assert len(data(tmp_path / inside, split=split)) == 1


def test_fewer_classes_than_the_column_has_are_refused(tmp_path):
    root = saved(tmp_path, table(6, kind=[0, 1] * 3))
    with pytest.raises(DataError, match=r"3 classes in kind, more than --dataset\.num_classes 2"):
        data(root, num_classes=2).examples()


def test_columns_can_be_chosen(tmp_path):
    batch = whole(data(saved(tmp_path, table()), image="picture", label="number"))
    assert batch.cond.label.tolist() == [k % 2 for k in range(9)]
    assert batch.captions is None


def test_without_a_column_of_classes_there_are_no_labels(tmp_path):
    assert whole(data(saved(tmp_path, table(kind=None)))).cond.label is None


def test_classes_without_an_example_count(tmp_path):
    named = data(saved(tmp_path, table(6, kind=[0, 1] * 3)))
    assert named.spec.num_classes == 3
    numbered = data(tmp_path / "saved", label="number")
    assert numbered.spec.num_classes == 2


def of_the_hub(monkeypatch, made):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: made)
    return HuggingFace(name="someone/pictures", download=True, size=8)


def with_files(folder, *paths):
    """A parquet file with images that are not in it, but in files that it names."""
    pictures = [{"bytes": None, "path": str(path)} for path in paths]
    folder.mkdir(exist_ok=True)
    arrow.write_table(table(len(paths), picture=pictures).data.table, folder / "all.parquet")
    return folder


def test_images_may_be_files_of_their_own(tmp_path):
    root = with_files(tmp_path / "root", tmp_path / "root" / "1.png", "1.png", "2.png")
    (root / "1.png").write_bytes(png(COLOURS[1]))
    for one in (root, root / "all.parquet"):
        readable = data(one).examples().readable
        for k in range(2):
            assert readable.pixels(k)[:, 4, 4].tolist() == COLOURS[1]
        with pytest.raises(DataError, match=r"row 2 of .*: cannot be decoded"):
            whole(data(one))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("named", ["{0}/1.png", "../1.png", "in/../../1.png", "link/1.png"])
def test_files_outside_of_the_root_are_not_read(tmp_path, named, stream):
    (tmp_path / "1.png").write_bytes(png(COLOURS[1]))
    root = with_files(tmp_path / "root", named.format(tmp_path))
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"row 0 of .*: names .*1\.png, which is outside of .*root"):
        whole(data(root, stream=stream))


def test_a_table_of_the_hub_names_files_of_the_cache_alone(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    for folder in (cache, tmp_path):
        (folder / "1.png").write_bytes(png(COLOURS[1]))
    pictures = [{"bytes": None, "path": str(one / "1.png")} for one in (cache, tmp_path)]
    data = of_the_hub(monkeypatch, table(2, picture=pictures))
    assert data.examples().readable.pixels(0)[:, 4, 4].tolist() == COLOURS[1]
    with pytest.raises(DataError, match=r"row 1 of someone/pictures: names .* outside of .*cache"):
        whole(data)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [(None, "is empty"), ({"bytes": b"x", "path": None}, "is not an image")],
)
def test_a_bad_image_is_named_by_its_row(tmp_path, bad, reason, stream):
    pictures = [{"bytes": png(one), "path": None} for one in COLOURS]
    root = saved(tmp_path, table(picture=[*pictures[:7], bad, pictures[8]]))
    with pytest.raises(DataError, match=rf"row 7 of .*saved: {reason}.*on_bad skip"):
        whole(data(root, stream=stream))
    assert len(whole(data(root, stream=stream, on_bad="skip")).x) == 8 + stream


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"picture": None}, {}, "columns of images none among kind, number, said"),
        ({}, {"image": "kind"}, r"columns of images picture; --dataset\.image"),
        ({}, {"label": "sort"}, "has no column sort, but picture, kind"),
        ({}, {"label": "said"}, "other things in said than whole numbers"),
        ({"kind": [-1] * 9}, {}, "other things in kind than whole numbers from 0"),
        ({}, {"caption": "text"}, "has no column text"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, columns, options, said):
    with pytest.raises(DataError, match=said):
        data(saved(tmp_path, table(**columns)), **options).examples()


@pytest.mark.parametrize("stream", [True, False])
def test_texts_that_are_not_utf8_are_named_or_left_out(tmp_path, stream):
    texts = pyarrow.array([*"abc", "xyz", *"efghi"])
    offsets, content = texts.buffers()[1:]
    damaged = content.to_pybytes().replace(b"xyz", "\ud83d".encode("utf-8", "surrogatepass"))
    said = pyarrow.StringArray.from_buffers(len(texts), offsets, pyarrow.py_buffer(damaged))
    made = table(said=None)
    root = saved(tmp_path, made.add_column("said", said, feature=datasets.Value("string")))
    with pytest.raises(DataError, match=r"row 3 of .* \(said is not UTF-8\).*on_bad skip"):
        whole(data(root, caption="said", stream=stream))
    found = whole(data(root, caption="said", stream=stream, on_bad="skip"))
    assert set(found.captions) == set("abcefghi")


@pytest.mark.parametrize("stream", [True, False])
def test_rows_without_a_text_are_named_or_left_out(tmp_path, stream):
    root = saved(tmp_path, table(said=["a", "b", "c", None, *"efghi"]))
    with pytest.raises(DataError, match=r"row 3 of .* \(said is no text: None\).*on_bad skip"):
        whole(data(root, caption="said", stream=stream))
    found = whole(data(root, caption="said", stream=stream, on_bad="skip"))
    assert set(found.captions) == set("abcefghi")


def test_an_empty_table_is_refused(monkeypatch):
    with pytest.raises(DataError, match="someone/pictures is empty"):
        of_the_hub(monkeypatch, table().select([])).examples()


def damaged_table(path):
    """A file whose schema is whole and whose rows are not."""
    table().to_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)


DAMAGED = {
    "nothing": lambda path: None,
    "cut off": lambda path: path.write_bytes(b"PAR1"),
    "schema": lambda path: path.write_bytes(b"PAR1garbagePAR1"),
    "rows": damaged_table,
}


@pytest.fixture
def heard(caplog):
    """What the library logs, which it does not let through to the root."""
    log = logging.getLogger("datasets")
    log.addHandler(caplog.handler)
    yield caplog
    log.removeHandler(caplog.handler)


@pytest.mark.parametrize("harm", DAMAGED)
def test_a_folder_that_is_no_table_is_named_and_the_library_says_nothing(
    tmp_path, capfd, heard, harm
):
    datasets.enable_progress_bars()
    DAMAGED[harm](tmp_path / "train.parquet")
    capfd.readouterr()
    with pytest.raises(DataError, match=f"{tmp_path.name} cannot be read: (?!An error)") as caught:
        data(tmp_path).examples()
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().err == heard.text == ""
    assert datasets.is_progress_bar_enabled()


def test_nothing_is_downloaded_unless_asked_for():
    with pytest.raises(ConfigError, match=r"is on the Hub: say --dataset\.download true"):
        HuggingFace(name="someone/pictures")


def test_a_root_or_a_name_is_needed(tmp_path):
    with pytest.raises(ConfigError, match=r"--dataset\.root, or --dataset\.name"):
        HuggingFace()
    with pytest.raises(ConfigError, match=r"--dataset\.root, or --dataset\.name"):
        HuggingFace(root=tmp_path, name="someone/pictures", download=True)


def test_a_table_of_the_hub_is_asked_for_by_name(monkeypatch):
    asked = []

    def load(name, subset, *, split):
        asked.append((name, subset, split))
        return table()

    monkeypatch.setattr(datasets, "load_dataset", load)
    one = HuggingFace(name="someone/pictures", subset="small", split="test", download=True, size=8)
    assert colours(whole(one).x) == COLOURS
    assert asked == [("someone/pictures", "small", "test")]


def test_a_hub_that_cannot_be_reached_says_what_to_place_where(monkeypatch):
    def load(*_, **__):
        raise ConnectionError("no route\nto the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=r"no route to the Hub; .*parquet files.*--dataset\.root"):
        HuggingFace(name="someone/pictures", download=True).examples()


def test_it_trains_with_workers(tmp_path):
    words = ["--dataset", "huggingface", "--dataset.root", str(saved(tmp_path, table()))]
    words += ["--dataset.size", "8", "--dataset.stream", "true", "--train.workers", "2"]
    words += ["--train.steps", "2", "--train.batch_size", "4", "--out", str(tmp_path / "run")]
    assert main(["train", *words]) == 0
