"""The networks as a plugin."""

import subprocess
import sys

import pytest

from diffx_backbones.plugin import diffx_backbones
from diffx_core.config import options_of
from diffx_core.plugins import Registry

RECORDS = {record.name: record for record in diffx_backbones()}


def test_the_networks_are_installed():
    found = {r.name: r.target for r in Registry.load(environ={}).all("backbone")}
    assert found.items() >= {name: record.target for name, record in RECORDS.items()}.items()


def test_listing_them_imports_no_torch():
    code = (
        "import sys, diffx_backbones.plugin as p; p.diffx_backbones();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", RECORDS)
def test_every_option_has_help(name):
    target = Registry.load(environ={}).find("backbone", name).load()
    assert [option.name for option in options_of(target) if not option.help] == []
