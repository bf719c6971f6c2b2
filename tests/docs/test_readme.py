"""The README is true: its commands and its example run, its tutorial is the example package."""

import re
import shlex
from pathlib import Path

import pytest

from diffx_core.plugins import KINDS, Registry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "plugins" / "diffx-cosh"

FENCED = re.compile(r"(?:^`([\w./-]+)`\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [match.groups() for match in FENCED.finditer(README)]
FILES = {name: source for name, _, source in BLOCKS if name}
EXAMPLES = [source for name, language, source in BLOCKS if language == "python" and not name]
LINES = [
    shlex.split(line)
    for _, language, source in BLOCKS
    if language == "bash"
    for line in source.splitlines()
]
UNSHOWN = {"README.md", "src/diffx_cosh/__init__.py", "src/diffx_cosh/py.typed"}
"""Files of the example package that the tutorial mentions without showing them."""

QUICKER = {
    "train": {"--train.steps": "2", "--train.batch_size": "8"},
    "sample": {"--n": "4", "--steps": "2"},
}
"""What the test adds to a command, so that it is quick, unless the README says it.

As they stand, the commands train for minutes. That training gets somewhere is what the demo shows.
"""
EXCLUSIVE = {"--steps": "--nfe"}


def quick(arguments):
    """The arguments of diffx, with less work to do."""
    added = QUICKER.get(arguments[0], {})
    return arguments + [
        word
        for flag, value in added.items()
        if flag not in arguments and EXCLUSIVE.get(flag) not in arguments
        for word in (flag, value)
    ]


def lines_of(program):
    return [line[1:] for line in LINES if line[0] == program]


def test_the_blocks_are_of_kinds_that_are_tested():
    assert README.count("\n```") == 2 * len(BLOCKS)
    assert {language for name, language, _ in BLOCKS if not name} == {"bash", "python"}
    assert {line[0] for line in LINES} == {"make", "pip", "diffx", "pytest"}


@pytest.mark.slow
def test_the_lines_of_diffx_run_in_their_order(shell, installed_cosh):
    path = []
    for program, *arguments in LINES:
        if program == "pip" and arguments[-1].endswith("diffx-cosh"):
            path = [installed_cosh]
        elif program == "diffx":
            done = shell("diffx_cli", *quick(arguments), path=path)
            assert done.returncode == 0, f"diffx {shlex.join(arguments)}\n{done.stderr}"


def test_the_three_lines_stand_as_they_were_promised():
    assert ["train", "--scheduler", "vesde", "--backbone", "dit"] in lines_of("diffx")
    assert ["sample", "--sampler", "pc"] in lines_of("diffx")
    assert ["list-plugins"] in lines_of("diffx")


def test_the_example_in_python_draws_what_it_says(capsys):
    (source,) = EXAMPLES
    names = {"__name__": "readme"}
    exec(compile(source, "README.md", "exec"), names)  # running the README is the test
    assert "torch.Size([1000, 2])" in capsys.readouterr().out
    # 2000 numbers: their standard deviation is within 5 standard errors, 5 / sqrt(2 * 2000)
    assert float(names["x"].std()) == pytest.approx(0.5, rel=0.08)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_tutorial_is_the_file_of_the_example(name):
    assert FILES[name] == (EXAMPLE / name).read_text(encoding="utf-8")


def test_the_tutorial_accounts_for_every_file():
    files = [file.relative_to(EXAMPLE) for file in EXAMPLE.rglob("*") if file.is_file()]
    written = {file.as_posix() for file in files if "cache" not in file.as_posix()}
    assert written == {*FILES, *UNSHOWN}


def test_make_has_the_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {target for line in lines_of("make") for target in line} <= targets


def test_one_line_of_pip_installs_the_whole_workspace():
    (line, tutorial) = lines_of("pip")
    members = [file.parent for file in (*ROOT.glob("packages/*/*"), *ROOT.glob("apps/*/*"))]
    folders = {member for member in members if (member / "pyproject.toml").exists()}
    assert {ROOT / folder for folder in line[2::2]} == folders
    assert tutorial == ["install", "-e", EXAMPLE.relative_to(ROOT).as_posix()]


def test_pytest_is_told_of_tests_that_exist():
    assert all((ROOT / folder).is_dir() for line in lines_of("pytest") for folder in line)


def test_every_component_of_ours_is_named():
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", README, re.MULTILINE)
    named = {(kind, name) for kind, names in rows for name in re.findall(r"`(\w+)`", names)}
    ours = {f"diffx-{kind}s" for kind in KINDS}
    everything = Registry.load({}).all()
    assert named == {(one.kind, one.name) for one in everything if one.distribution in ours}
