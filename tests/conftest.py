"""What tests of more than one package need."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

# Before torch is imported: threads that wait for each other on a busy machine take most of the
# time, and the tensors of tests are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

FakeDistribution = Callable[..., Path]
Shell = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLES = Path(__file__).parents[1] / "examples" / "plugins"


@pytest.fixture
def fake_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeDistribution]:
    """Install a distribution without pip: a folder on the path with its metadata and modules.

    `fake_distribution("diffx-cosh", {"plugin": SOURCE, "sde": SOURCE})` makes package `diffx_cosh`
    of two modules; entry point `cosh` is `diffx_cosh.plugin`. A later one comes before an earlier
    one on the path. Returns the folder, for the PYTHONPATH of another process.
    """
    before = set(sys.modules)

    def install(
        name: str,
        files: Mapping[str, str],
        *,
        version: str = "1.0",
        requires: Sequence[str] = (),
        entry_points: Mapping[str, str] | None = None,
        package: str | None = None,
        metadata: str | None = None,
    ) -> Path:
        folder = tmp_path / "site" / f"{len(list(tmp_path.glob('site/*')))}-{name}"
        package = package or name.replace("-", "_")
        if entry_points is None:
            entry_points = {name.removeprefix("diffx-"): f"{package}.plugin"}
        if metadata is None:
            lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
            metadata = "\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires), "", "Text."])
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        declared = "".join(f"{entry} = {target}\n" for entry, target in entry_points.items())
        _write(info / "METADATA", metadata)
        _write(info / "entry_points.txt", f"[diffx]\n{declared}")
        if files:
            _write(folder / package / "__init__.py", "")
        for module, source in files.items():
            _write(folder / package / f"{module}.py", source)
        monkeypatch.syspath_prepend(folder)
        return folder

    yield install
    for module in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[module], "__file__", None) or ""):
            del sys.modules[module]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a command of Python's in a process of its own, in an empty folder.

    `shell("diffx_cli", "train", ..., path=[FOLDER])` is `python -m diffx_cli train ...` with the
    folder on the path, before what is there already.
    """
    home = tmp_path / "shell"
    home.mkdir()

    def run(
        module: str, *arguments: str, path: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess[str]:
        inherited = [
            folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder
        ]
        # Small networks: threads that wait for one another would take most of the time.
        threads = {"OMP_NUM_THREADS": "1"}
        route = os.pathsep.join([*map(str, path), *inherited])
        environ = {**threads, **os.environ, "PYTHONPATH": route}
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=home,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def limited() -> Iterator[Callable[[int], None]]:
    """Files may become no longer than so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="session")
def installed_cosh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the example plugin, for real and without network."""
    return _pip_install(tmp_path_factory.mktemp("installed"), EXAMPLES / "diffx-cosh")


@pytest.fixture(scope="session")
def installed_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for the other example plugins."""
    others = sorted(set(EXAMPLES.glob("diffx-*")) - {EXAMPLES / "diffx-cosh"})
    return _pip_install(tmp_path_factory.mktemp("examples"), *others)


def _pip_install(folder: Path, *packages: Path) -> Path:
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder, *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
