"""Every sampler of the package is offered by name."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import diffx_samplers
from diffx_core import Sampler
from diffx_samplers.plugin import diffx_samplers as offered


def test_every_concrete_sampler_is_offered():
    modules = [
        import_module(f"diffx_samplers.{m.name}") for m in iter_modules(diffx_samplers.__path__)
    ]
    written = {
        f"{one.__module__}:{one.__name__}"
        for module in modules
        for one in vars(module).values()
        if inspect.isclass(one)
        and issubclass(one, Sampler)
        and not inspect.isabstract(one)
        and one.__module__ == module.__name__
    }
    assert written == {component.target for component in offered()}


def test_every_offer_has_a_line_about_it():
    assert all(component.summary for component in offered())
