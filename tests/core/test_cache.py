"""Where the cache is."""

from pathlib import Path

import pytest

from diffx_core import ConfigError, cache_folder


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in ("DIFFX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_where_the_variables_say(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/diffx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches/diffx"
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home_is_told_what_to_set(tmp_path, monkeypatch):
    def nobody(_):
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(ConfigError, match=r"no home folder .* set DIFFX_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize("folder", ["relative", "."])
def test_it_may_be_relative(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFX_CACHE", folder)
    assert cache_folder() == Path(folder)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("file", "names {0}/file, which is no folder"),
        ("file/in/it", "in/it, but {0}/file is no folder"),
    ],
)
def test_a_file_in_its_place_is_refused(tmp_path, monkeypatch, named, said):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / named))
    with pytest.raises(ConfigError) as caught:
        cache_folder()
    assert said.format(tmp_path) in str(caught.value)
    assert "set DIFFX_CACHE to a folder" in str(caught.value)


def test_a_file_in_place_of_the_users_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "caches").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    with pytest.raises(
        ConfigError, match=r"the cache would be .*caches/diffx, but .*caches is no folder"
    ):
        cache_folder()
