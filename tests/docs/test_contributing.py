"""CONTRIBUTING.md knows where everything is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = sorted({*re.findall(r"`((?:apps|packages|tests|docs)/[^` ]+)`", PAGE)})
CLI = ROOT / "apps" / "cli" / "src" / "diffx_cli"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_named_is_there(place):
    assert (ROOT / place).exists()


@pytest.mark.parametrize("package", sorted(one.name for one in (ROOT / "packages").iterdir()))
def test_every_package_is_named(package):
    assert f"`packages/{package}" in PAGE


@pytest.mark.parametrize("folder", sorted(one.parent.name for one in CLI.glob("*/__init__.py")))
def test_every_folder_of_the_command_line_is_named(folder):
    assert f"`{folder}`" in PAGE or f"diffx_cli/{folder}`" in PAGE
