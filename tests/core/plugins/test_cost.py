"""Listing what is installed imports no implementation; measured in a fresh process."""

import os
import subprocess
import sys

LISTING = """
import sys
from diffx_core.plugins import Registry, rows, table
registry = Registry.load({"DIFFX_PLUGINS": ",".join(f"many{i}" for i in range(50))})
assert len(registry.all("scheduler")) == 50, registry.failures
assert table(rows(registry))
print([name for name in sys.modules if name.endswith(".sde") or name == "torch"])
"""
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("{name}", "diffx_{name}.sde:It")]
"""


def run(code, path=()):
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), *inherited])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_listing_fifty_plugins_imports_none_of_their_targets(fake_distribution):
    path = [
        fake_distribution(
            f"diffx-many{i}", {"plugin": PLUGIN.format(name=f"many{i}"), "sde": "import torch"}
        )
        for i in range(50)
    ]
    assert run(LISTING, path) == "[]\n"


def test_importing_the_plugin_machinery_leaves_torch_alone():
    assert run("import sys, diffx_core.plugins; print('torch' in sys.modules)") == "False\n"


def test_first_party_plugins_load_without_torch_or_their_implementations():
    code = """
import sys
from diffx_core.plugins import Registry
registry = Registry.load({})
names = ["diffx_schedulers", "diffx_backbones", "diffx_samplers", "diffx_datasets"]
loaded = [m for m in sys.modules if m.partition(".")[0] in names and not m.endswith(".plugin")]
print(sorted(set(loaded) - set(names)), "torch" in sys.modules)
"""
    assert run(code) == "[] False\n"


def test_a_plugin_that_exits_does_not_end_the_program(fake_distribution):
    folder = fake_distribution("diffx-bad", {"plugin": "import sys; sys.exit(3)"})
    code = """
from diffx_core.plugins import Registry
print(Registry.load({"DIFFX_PLUGINS": "bad"}).failures[0].error)
"""
    assert run(code, [folder]) == "import: it called sys.exit(3)\n"
