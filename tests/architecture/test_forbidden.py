"""What no source of ours may do: run text as code, unpickle, or unpack whatever it is given."""

import ast

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "torch.jit.load", "yaml.load", "os.system"}
FORBIDDEN_METHODS = {"extractall", "unpack_archive"}
FORBIDDEN_ARGUMENTS = {"allow_pickle", "shell"}


def is_of_weights_only(call):
    """Whether it reads tensors and nothing that is run: what others have written as .pt."""
    given = {one.arg: ast.unparse(one.value) for one in call.keywords}
    return ast.unparse(call.func) == "torch.load" and given.get("weights_only") == "True"


def offences(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ({alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (names & FORBIDDEN_CALLS)
            yield from ({str(node.module).partition(".")[0]} & FORBIDDEN_MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if not is_of_weights_only(node):
                yield from ({called} & FORBIDDEN_CALLS)
            yield from ({called.rpartition(".")[2]} & FORBIDDEN_METHODS)
            given = {one.arg for one in node.keywords if ast.unparse(one.value) != "False"}
            yield from (given & FORBIDDEN_ARGUMENTS)


def test_no_source_does_what_is_forbidden(modules):
    found = {module.name: list(offences(module.tree)) for module in modules}
    assert {name: what for name, what in found.items() if what} == {}


def test_the_search_finds_what_it_looks_for():
    source = """
import pickle
from torch import load
torch.load("x"); torch.load("x", weights_only=False)
torch.jit.load("x"); yaml.load("x"); eval("x"); exec("x")
numpy.load("x", allow_pickle=True); archive.extractall(); subprocess.run("x", shell=True)
model.eval(); registry.load(); numpy.load("x", allow_pickle=False)
torch.load("x", weights_only=True)
"""
    assert sorted(offences(ast.parse(source))) == [
        "allow_pickle",
        "eval",
        "exec",
        "extractall",
        "pickle",
        "shell",
        "torch.jit.load",
        "torch.load",
        "torch.load",
        "torch.load",
        "yaml.load",
    ]
