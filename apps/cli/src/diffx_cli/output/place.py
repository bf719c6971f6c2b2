"""A folder that is ours while we work in it: none of our results by half, and nobody else's lost.

A hidden folder inside is both the claim and where files are written until all of them are whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from diffx_cli.output.claims import PARTIAL, held
from diffx_cli.output.folders import check_free, claim, clear
from diffx_core.errors import ConfigError


@frozen
class Place:
    """A folder that has been claimed.

    Args:
        folder: where the results will be.
        names: what diffx writes there.
        overwrite: whether what it wrote earlier is replaced; None where nobody can say so.
    """

    folder: Path
    names: tuple[str, ...]
    overwrite: bool | None

    @property
    def partial(self) -> Path:
        """Where to write what is not whole yet."""
        return self.folder / PARTIAL

    def publish(self, source: Path | None = None) -> None:
        """Move what has been written to where it belongs: all of it, or nothing.

        Args:
            source: where it is, if not in `partial`.

        Raises:
            ConfigError: somebody else has put a file of the same name there meanwhile.
        """
        if self.overwrite:
            clear(self.folder, self.names)
        moved: list[tuple[Path, Path]] = []
        try:
            for file, target in list(_moves(source or self.partial, self.folder)):
                file.rename(target)
                moved.append((file, target))
        except BaseException:
            for file, target in reversed(moved):
                target.rename(file)
            raise


@contextmanager
def claimed(
    out: Path | None,
    parent: Path,
    label: str,
    names: tuple[str, ...],
    *,
    overwrite: bool | None,
    width: int = 5,
    again: bool = False,
) -> Iterator[Place]:
    """A folder for results that no other process gets until the work is done, or has failed.

    Folders that were made for it go again if nothing was published.

    Args:
        out: the folder that the user named, if any; otherwise it is the next number in `parent`.
        parent: of the numbered folders.
        label: what follows the number.
        names: what diffx writes there.
        overwrite: whether what it wrote earlier may be replaced; None where nobody can say so.
        width: digits of the number.
        again: whether the work goes on from what is there already.

    Raises:
        ConfigError: it cannot be created or written to, is in use, or holds something already.
    """
    home = parent if out is None else out
    made = [one for one in (home, *home.parents) if not one.is_symlink() and not one.exists()]
    try:
        folder = claim(out, parent, label, width=width)
        if out is None:
            made.insert(0, folder)
        with held(folder):
            if not again:
                check_free(out, overwrite=overwrite, ours=True)
            yield Place(folder, names, overwrite)
    finally:
        for one in made:
            with suppress(OSError):  # it holds results, or what somebody else wrote
                one.rmdir()


def _moves(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """What to rename, so that nothing is lost which others put there."""
    for one in sorted(source.iterdir()):
        there = target / one.name
        if one.is_dir() and there.is_dir():
            yield from _moves(one, there)
        elif there.is_symlink() or there.exists():
            raise ConfigError(
                f"{there}: was put there by somebody else meanwhile, and is not overwritten: take "
                "another folder"
            )
        else:
            yield one, there
