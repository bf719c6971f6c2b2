"""Recipes: whole configurations with values from the literature, one YAML file each.

The first comment of a file says in one line what it is, the others whose values they are. A recipe
is read under the configuration file and the flags, so anything in it can be said otherwise.
"""

from pathlib import Path

from diffx_core.config import nearest, show
from diffx_core.errors import ConfigError

FOLDER = Path(__file__).parent


def recipes() -> dict[str, str]:
    """One line about each recipe, by name."""
    files = sorted(FOLDER.glob("*.yaml"))
    return {file.stem: _summary(file) for file in files}


def recipe(name: str) -> Path:
    """The file of a recipe.

    Raises:
        ConfigError: there is none of this name.
    """
    known = recipes()
    if name not in known:
        raise ConfigError(
            f"unknown recipe {show(name)}: choose from {', '.join(known)}{nearest(name, known)}"
        )
    return FOLDER / f"{name}.yaml"


def _summary(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
