"""Configuration files are YAML 1.2 data, and every refusal names the line."""

import pytest

from diffx_core.config import read_yaml, write_yaml
from diffx_core.errors import ConfigError


def _file(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _values(path):
    return {key: given.value for key, given in read_yaml(path, named=["scheduler"]).items()}


def test_values_have_the_types_of_yaml_1_2(tmp_path):
    path = _file(
        tmp_path, "lr: 1e-4\nanswer: no\ntime: 1:30\nbig: true\nnone: null\nl: [1, 2.5, a]\n"
    )
    assert _values(path) == {
        "lr": 1e-4,
        "answer": "no",
        "time": "1:30",
        "big": True,
        "none": None,
        "l": [1, 2.5, "a"],
    }


@pytest.mark.parametrize(
    "text",
    [
        "scheduler: vesde\nscheduler.sigma-max: 50\n",
        "scheduler: {name: vesde, sigma_max: 50}\n",
        "scheduler:\n  name: vesde\n  sigma_max: 50\n",
    ],
    ids=["flat", "flow", "block"],
)
def test_the_spellings_of_a_component_agree(tmp_path, text):
    expected = {"scheduler": "vesde", "scheduler.sigma_max": 50}
    assert _values(_file(tmp_path, text)) == expected


def test_a_value_knows_its_line(tmp_path):
    path = _file(tmp_path, "a: 1\n\ntrain:\n  lr: 2\n")
    assert read_yaml(path)["train.lr"].source == f"{path}:4: train.lr"


BAD = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", 3, "given twice"),
    "duplicate by another spelling": ("train.lr: 1\ntrain:\n  lr: 2\n", 3, "given twice"),
    "duplicate name": ("scheduler: {name: a}\nscheduler.name: b\n", 2, "given twice"),
    "tab": ("a:\n\tb: 1\n", 2, "cannot start any token"),
    "python tag": ("a: !!python/object/apply:os.system ['true']\n", 1, "tags"),
    "own tag": ("a: 1\nb: !x 2\n", 2, "tags"),
    "anchor": ("a: &x 1\n", 1, "anchors"),
    "alias bomb": ("a: &a [x,x]\nb: [*a,*a]\n", 1, "anchors"),
    "merge key": ("a: {b: 1}\n<<: *a\n", 2, "anchors"),
    "empty": ("", 1, "is empty"),
    "comment": ("# nothing\n", 1, "is empty"),
    "list": ("- a\n- b\n", 1, "key: value"),
    "scalar": ("\nhello\n", 2, "key: value"),
    "date": ("a: 2020-01-02\n", 1, "date"),
    "number as key": ("a: 1\n1: 2\n", 2, "a key needs to be text"),
    "list in list": ("a: [[1]]\n", 1, "single value"),
    "mapping in list": ("a:\n  - b: 1\n", 2, "single value"),
    "second document": ("a: 1\n---\nb: 2\n", 2, "second document"),
    "deep": ("a: " + "[" * 5000, 1, "nested too deeply"),
    "unclosed": ("a: [1,\n", 2, "expected"),
    "not utf-8": (b"a: 1\nb: \xff\n", 2, "UTF-8"),
    "control character": (b"a: \x00\n", 1, "special characters"),
}


@pytest.mark.parametrize(("text", "line", "reason"), BAD.values(), ids=BAD)
def test_anything_but_plain_data_is_refused_with_its_line(tmp_path, text, line, reason):
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_yaml(path, named=["scheduler"])
    assert caught.value.problems[0].startswith(f"{path}:{line}: ")


def test_a_huge_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(_file(tmp_path, "a: " + "x" * 1_000_001))


@pytest.mark.parametrize("name", ["missing.yaml", "."], ids=["missing", "directory"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / name)


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    data = {
        "scheduler": {"name": "diffx-schedulers:vesde", "sigma_min": 1e-5, "sigma_max": 50.0},
        "a": {
            "text": "1.10",
            "no": "no",
            "true": "true",
            "null": "null",
            "none": None,
            "n": 10**17,
        },
        "list": [1, 2.0, "1e5"],
        "empty": "",
        "colon": "a: b # c",
        "date": "2020-01-02",
    }
    path = tmp_path / "out.yaml"
    write_yaml(path, data)
    back = _values(path)
    assert back.pop("scheduler") == data["scheduler"]["name"]
    assert back == {
        "scheduler.sigma_min": 1e-5,
        "scheduler.sigma_max": 50.0,
        **{f"a.{key}": value for key, value in data["a"].items()},
        **{key: data[key] for key in ("list", "empty", "colon", "date")},
    }
    assert type(back["scheduler.sigma_max"]) is float
