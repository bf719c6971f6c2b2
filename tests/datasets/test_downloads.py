"""Files of published datasets that are fetched, from a server on this machine."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from torchvision import datasets

from diffx_core import DataError
from diffx_datasets.mnist import MNIST
from published_formats import write_mnist


@pytest.fixture
def served(tmp_path, monkeypatch):
    """MNIST's files where torchvision looks for them, from a server on this machine."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    write_mnist(tmp_path / "served")
    sums = [
        (path.name, hashlib.md5(path.read_bytes()).hexdigest())
        for path in sorted((tmp_path / "served").iterdir())
    ]
    address = f"http://127.0.0.1:{server.server_port}"
    mirrors = [f"{address}/gone/", f"{address}/"]
    monkeypatch.setattr(datasets.MNIST, "mirrors", mirrors)
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    yield tmp_path / "served"
    server.shutdown()
    server.server_close()


def test_files_are_downloaded_once_if_asked_for(tmp_path, served):
    data = MNIST(root=tmp_path / "data", download=True)
    assert len(data) == 20
    for path in served.iterdir():
        path.unlink()
    assert len(MNIST(root=tmp_path / "data", download=True, size=28)) == 20


def test_a_wrong_file_is_not_kept(tmp_path, served):
    path = served / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"cannot be downloaded .*place it in") as caught:
        len(MNIST(root=tmp_path / "data", download=True))
    assert len(str(caught.value).splitlines()) == 1
    assert not list((tmp_path / "data").rglob("*.gz"))
