"""With which weights a run begins if not with new ones: those of a checkpoint, which it names."""

from pathlib import Path

from torch import nn

from diffx_cli.output.folders import run_folder
from diffx_cli.processes.joining import shared
from diffx_core.config import read_yaml
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError
from diffx_core.pipeline.loading import load_weights


def first_weights(wanted: Path | None, folder: Path | None) -> Path | None:
    """Whose weights a run begins with; one that goes on, with whose it has begun.

    Args:
        wanted: run or checkpoint, as it was given.
        folder: of the run that goes on; None to begin.

    Raises:
        ConfigError: it has begun with others.
    """
    if folder is None:
        return wanted
    said = read_yaml(folder / "config.yaml").get("init_from")
    began = None if said is None else Path(str(said.value))
    if wanted is None or (began and wanted.resolve() in (began, run_folder(began))):
        return began
    raise ConfigError(
        f"--init-from {wanted}: the run in {folder} began with "
        f"{began or 'weights of its own'}; name another folder with --out, or replace it with "
        "--overwrite"
    )


def begin_with(model: nn.Module, path: Path | None, ranks: Ranks) -> Path | None:
    """Give the network of every process the averaged weights of one checkpoint.

    Args:
        model: the network.
        path: run or checkpoint, as the first process knows; None for none.
        ranks: the processes.

    Returns:
        the checkpoint that it was: a run may come to have newer ones.
    """
    found = shared(ranks, None if path is None else load_checkpoint(path, ["ema"]), ["ema"])
    if found is None:
        return None
    load_weights(model, found)
    return found.path.resolve()
