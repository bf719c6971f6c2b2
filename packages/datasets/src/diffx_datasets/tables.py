"""Tables of the library `datasets`: from a folder of this machine, or from the Hub if asked for."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffx_core import ConfigError, DataError, cache_folder
from diffx_datasets.packing import stamp

SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"
"""What `save_to_disk` leaves in the folder of a table, and in one of several."""
USUAL = "train"
"""The split that is meant where nothing is said, also of a table that has none."""
SPLITS = ("train", "validation", "valid", "val", "test")
FAILURES = (OSError, ValueError, TypeError, KeyError, RuntimeError, ConnectionError)
"""What the library raises about files that it cannot read, and about a Hub that it cannot reach."""


def library() -> Any:  # noqa: ANN401 - it has no types
    """The library, imported when it is needed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            f"tables are read by datasets ({error}): pip install 'diffx-datasets[huggingface]'"
        ) from error
    return datasets


def local_table(root: Path, split: str) -> tuple[Any, list[object]]:
    """A split of a table on this machine, and what tells it from another version.

    Args:
        root: a folder that `save_to_disk` has made, one of parquet files, or a parquet file.
        split: of the table.

    Raises:
        DataError: there is none that can be read, or it has no such split.
    """
    datasets = library()
    home = root / split if (root / SAVED_SPLITS).is_file() else root
    try:
        if (home / SAVED).is_file():
            files = sorted(one for one in home.iterdir() if one.is_file())
            table = datasets.load_from_disk(str(home))
            if home == root:
                is_part = (root.parent / SAVED_SPLITS).is_file()
                _whole(split, root.name if is_part else str(table.split))
            return table, [stamp(one) for one in files]
        files = list(_parquet(root, split))
        with _quiet():
            table = datasets.Dataset.from_parquet(
                [str(one) for one in files], cache_dir=str(cache_folder() / "tables")
            )
    except (*FAILURES, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"huggingface: {home} cannot be read: {reason(error)}") from error
    return table, [stamp(one) for one in files]


def hub_table(name: str, subset: str | None, split: str) -> tuple[Any, list[object]]:
    """A split of a table of the Hub, fetched by the library or found in its cache.

    Raises:
        DataError: it cannot be had.
    """
    datasets = library()
    try:
        with _quiet():
            table = datasets.load_dataset(name, subset, split=split)
    except (*FAILURES, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"huggingface: {name} cannot be had from the Hub: {reason(error)}; without a network,"
            " place its parquet files in a folder and name that with --dataset.root"
        ) from error
    return table, [name, subset, split, str(table.info.version), len(table)]


def hub_caches() -> tuple[Path, ...]:
    """Where the library keeps what it has fetched from the Hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE), Path(library().config.HF_DATASETS_CACHE)


def reason(error: Exception) -> str:
    """The message of an error in one line, cut where it gets long.

    An error about a table as a whole says nothing, but was raised from one that does.
    """
    if isinstance(error, library().exceptions.DatasetGenerationError) and error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library prints about a file beside its error, and bars that nobody sees."""
    datasets, log = library(), logging.getLogger("datasets.packaged_modules")
    level, bars = log.level, datasets.is_progress_bar_enabled()
    log.setLevel(logging.CRITICAL)
    if bars and not (sys.stderr is not None and sys.stderr.isatty()):
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        if bars:
            datasets.enable_progress_bars()


def _parquet(root: Path, split: str) -> Sequence[Path]:
    if root.is_file():
        _whole(split, _split_of(root))
        return [root]
    files = sorted(root.rglob("*.parquet"))
    if not files:
        raise FileNotFoundError("there is neither a saved table nor a .parquet file")
    named = {one: _split_of(one) for one in files}
    found = [one for one, name in named.items() if name == split]
    if found or any(named.values()):
        known = ", ".join(sorted({name for name in named.values() if name}))
        if not found:
            raise FileNotFoundError(f"there is no split {split}, but {known}")
        return found
    _whole(split, "")
    return files


def _whole(split: str, own: str) -> None:
    """Refuse to look for a split in a table of none, or of another one."""
    if split not in (USUAL, own):
        raise FileNotFoundError(
            f"there are no splits in it: leave out --dataset.split {split}, or name the folder of"
            " all splits with --dataset.root"
        )


def _split_of(path: Path) -> str:
    """The split that a file belongs to by its name or its folder; empty if neither says so."""
    names = (path.stem.partition("-")[0], path.parent.name)
    return next((one for one in names if one in SPLITS), "")
