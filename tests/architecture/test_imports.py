"""Importing has no side effects; and what must be fast to import leaves torch alone."""

import json
import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, json, random, sys, warnings
import numpy, torch

def state():
    return (
        torch.initial_seed(),
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        random.getstate(),
        numpy.random.get_state()[1].tolist(),
    )

before = state()
modules = [importlib.import_module(name) for name in json.loads(sys.argv[1])]
assert state() == before, "random state or a default of torch has changed"

import pluggy
from diffx_core.plugins import Registry
held = [
    f"{module.__name__}.{name}"
    for module in modules
    for name, value in vars(module).items()
    if isinstance(value, (Registry, pluggy.PluginManager))
]
assert not held, f"a registry lives in a module: {held}"
print(len(modules))
"""
HEAVY = ("torch", "torchvision", "timm", "sklearn", "matplotlib", "numpy", "scipy")
LIGHT = (
    "diffx_core",
    "diffx_core.config",
    "diffx_core.errors",
    "diffx_core.options",
    "diffx_core.plugins",
    "diffx_schedulers.plugin",
    "diffx_backbones.plugin",
    "diffx_samplers.plugin",
    "diffx_datasets.plugin",
    "diffx_cli.__main__",
    "diffx_cli.commands",
)


def fresh(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_importing_every_module_changes_nothing(modules):
    names = [module.name for module in modules if "examples" not in module.file.parts]
    assert fresh(IMPORT_ALL, json.dumps(names)) == str(len(names))


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_no_heavy_library(module):
    code = f"import sys, {module}; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    assert fresh(code, *HEAVY) == "[]"


def test_only_the_trunks_of_timm_load_timm():
    """It takes longer to import than torch, and loads the compiler."""
    names = "dit", "uvit", "unet", "ddpm_unet", "edm2", "mlp"
    code = f"import sys, {', '.join(f'diffx_backbones.{name}' for name in names)}; "
    code += "print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    assert fresh(code, "timm", "torchvision", "torch._dynamo") == "[]"
