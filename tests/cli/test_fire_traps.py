"""Everything that python-fire does to a command line by itself, and that it must not do to ours."""

import pytest

from diffx_cli.commands import COMMANDS
from diffx_cli.line.fence import plan
from diffx_cli.line.grammar import parse
from diffx_cli.line.resolve import resolve
from diffx_core.errors import ConfigError
from diffx_core.plugins import Registry


def planned(*arguments):
    call = parse(["train", *arguments], COMMANDS)
    return dict(plan(COMMANDS, "train", call.options).options)


KEPT = {
    "dotted key": (["--scheduler.beta_max", "20"], {"scheduler.beta_max": "20"}),
    "dotted with equals": (["--scheduler.beta_max=20"], {"scheduler.beta_max": "20"}),
    "hyphen in key": (["--scheduler.beta-max", "20"], {"scheduler.beta_max": "20"}),
    "component and its option": (
        ["--scheduler", "vpsde", "--scheduler.beta_max", "20"],
        {"scheduler": "vpsde", "scheduler.beta_max": "20"},
    ),
    "colon language": (["--scheduler", "vpsde:a=20,b=0.1"], {"scheduler": "vpsde:a=20,b=0.1"}),
    "dict": (["--scheduler", "{vpsde: {a: 20}}"], {"scheduler": "{vpsde: {a: 20}}"}),
    "normalize": (["--normalize"], {"normalize": "true"}),
    "noise": (["--noise"], {"noise": "true"}),
    "notes": (["--notes"], {"notes": "true"}),
    "noise.sigma": (["--noise.sigma", "3"], {"noise.sigma": "3"}),
    "no-amp": (["--no-amp"], {"amp": "false"}),
    "amp": (["--amp"], {"amp": "true"}),
    "amp false": (["--amp", "false"], {"amp": "false"}),
    "1e5": (["--name", "1e5"], {"name": "1e5"}),
    "1.10": (["--name", "1.10"], {"name": "1.10"}),
    "0x10": (["--name", "0x10"], {"name": "0x10"}),
    "1_000": (["--name", "1_000"], {"name": "1_000"}),
    "007": (["--name", "007"], {"name": "007"}),
    "comment sign": (["--name", "a#b"], {"name": "a#b"}),
    "None": (["--name", "None"], {"name": "None"}),
    "Ellipsis": (["--name", "..."], {"name": "..."}),
    "complex": (["--name", "1j"], {"name": "1j"}),
    "bytes": (["--name", "b'x'"], {"name": "b'x'"}),
    "quotes": (["--name", "'x'"], {"name": "'x'"}),
    "empty": (["--name="], {"name": ""}),
    "equals": (["--name=a=b=c"], {"name": "a=b=c"}),
    "space and line": (["--name", "a b\nc"], {"name": "a b\nc"}),
    "numbers": (["--dims", "1,2,4"], {"dims": "1,2,4"}),
    "words": (["--dims", "a.txt,b.txt"], {"dims": "a.txt,b.txt"}),
    "nan": (["--lr", "nan"], {"lr": "nan"}),
    "-inf": (["--x", "-inf"], {"x": "-inf"}),
    "=-inf": (["--x=-inf"], {"x": "-inf"}),
    "-1": (["--x", "-1"], {"x": "-1"}),
    "-.5": (["--x", "-.5"], {"x": "-.5"}),
    "=-x": (["--x=-x"], {"x": "-x"}),
    "self": (["--self", "3"], {"self": "3"}),
    "cls": (["--cls=1"], {"cls": "1"}),
    "component": (["--component=1", "--command=2"], {"component": "1", "command": "2"}),
    "fire's own flags": (
        ["--interactive", "--trace", "--verbose", "--completion"],
        dict.fromkeys(("interactive", "trace", "verbose", "completion"), "true"),
    ),
    "separator": (["--separator", "x"], {"separator": "x"}),
    "minus signs": (["--x=" + "-" * 5000 + "1"], {"x": "-" * 5000 + "1"}),
    "sum": (["--x", "+".join("1" * 20000)], {"x": "+".join("1" * 20000)}),
    "attributes": (["--x", ".".join("a" * 20000)], {"x": ".".join("a" * 20000)}),
    "brackets": (["--x", "[" * 5000], {"x": "[" * 5000}),
}


@pytest.mark.parametrize(("arguments", "options"), KEPT.values(), ids=KEPT)
def test_the_plan_says_what_the_user_said(arguments, options):
    assert planned(*arguments) == options


REFUSED = {
    "positional": (["vesde", "dit", "extra"], ["'vesde'", "'dit'", "'extra'"]),
    "space in a list": (["--model.dims", "[1,2,", "4]"], ["'4]'"]),
    "duplicate": (["--train.lr", "1", "--train.lr", "2"], ["--train.lr is given twice"]),
    "duplicate by hyphen": (["--dry-run", "--dry_run"], ["--dry-run is given twice"]),
    "duplicate by no": (["--overwrite", "--no-overwrite"], ["--overwrite is given twice"]),
    "two dashes": (["--", "--sheduler", "x"], ["'--' is not allowed"]),
    "interactive": (["--", "--interactive"], ["'--' is not allowed"]),
    "dash": (["-"], ["'-' is not allowed"]),
    "dash as a value": (["--out", "-"], ["--out needs a value", "'-' is not allowed"]),
    "one letter": (["-x", "3"], ["'-x'", "'3'"]),
    "walk": (["__class__"], ["'__class__'"]),
    "walk on": (["--seed", "1", "real"], ["'real'"]),
    "no value": (["--seed"], ["--seed needs a value"]),
    "no value before another": (["--out", "--seed", "1"], ["--out needs a value"]),
    "no with a value": (["--no-amp=3"], ["--no-amp takes no value"]),
    "no key": (["--=3"], ["is no option"]),
    "private key": (["--__class__=3"], ["is no option"]),
    "empty part": (["--train..lr=3"], ["is no option"]),
    "brackets in key": (["--dims[0]=3"], ["is no option"]),
    "long key": (["--" + "a" * 5000], ["is no option"]),
    "megabyte": (["--name=" + "x" * 1_000_000], ["1000007 characters", "longer than"]),
    "megabyte apart": (["--name", "x" * 1_000_000], ["longer than"]),
    "not utf-8": (["--name", "a\udcffb"], ["not UTF-8"]),
    "not utf-8 key": (["--n\udcff=1"], ["not UTF-8"]),
}


@pytest.mark.parametrize(("arguments", "reasons"), REFUSED.values(), ids=REFUSED)
def test_anything_ambiguous_is_refused(diffx, arguments, reasons):
    result = diffx("train", *arguments)
    assert result.rc == 2
    assert not result.out
    assert all(reason in result.err for reason in reasons), result.err
    assert all(line.startswith("diffx: error: ") for line in result.err.splitlines())
    assert max(map(len, result.err.splitlines())) < 300


def test_all_mistakes_of_grammar_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        parse(["train", "stray", "--", "-x", "--seed"], COMMANDS)
    assert len(caught.value.problems) == 4


def test_a_plan_shows_fire_nothing():
    made = plan(COMMANDS, "train", {"a": "1"})
    assert dir(made) == []
    with pytest.raises(AttributeError):
        made.command = "other"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_fire_knows_every_command(name):
    assert plan(COMMANDS, name, {}).command == name


def test_underscores_are_hyphens_in_a_command():
    assert parse(["list_plugins"], COMMANDS).command is COMMANDS["list-plugins"]


TYPED = {
    "amp false": (["--scheduler.amp", "false"], "amp", False),
    "no-amp": (["--no-scheduler.amp"], "amp", False),
    "normalize": (["--scheduler.normalize"], "normalize", True),
    "noise": (["--scheduler.noise"], "noise", True),
    "notes": (["--scheduler.notes", "true"], "notes", True),
    "1e-4": (["--scheduler.rate", "1e-4"], "rate", 1e-4),
    "1e5 as text": (["--scheduler.name", "1e5"], "name", "1e5"),
    "comment sign": (["--scheduler.name", "a#b"], "name", "a#b"),
    "None as text": (["--scheduler.name", "None"], "name", "None"),
    "None as none": (["--scheduler.tag", "None"], "tag", None),
    "list": (["--scheduler.dims", "1,2,4"], "dims", (1, 2, 4)),
    "bracketed list": (["--scheduler.dims", "[1, 2, 4]"], "dims", (1, 2, 4)),
    "negative": (["--scheduler.count", "-1"], "count", -1),
}


@pytest.mark.parametrize(("arguments", "name", "value"), TYPED.values(), ids=TYPED)
def test_a_value_has_the_type_of_its_option(echo, arguments, name, value):
    texts = planned("--scheduler", "echo", *arguments)
    request = resolve(COMMANDS["train"], texts, Registry.load())
    assert request.components["scheduler"].options[name] == value
    assert type(request.components["scheduler"].options[name]) is type(value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scheduler.rate", "nan"],
        ["--scheduler.rate", "inf"],
        ["--scheduler.rate=-inf"],
        ["--scheduler.rate", "-1"],
        ["--scheduler.rate", "0"],
        ["--scheduler.rate"],
        ["--scheduler.count", "2.5"],
        ["--scheduler.count", "1_000"],
        ["--scheduler.amp", "1"],
        ["--no-scheduler.count"],
        ["--train.lr", "nan"],
        ["--train.lr", "inf"],
        ["--train.lr", "-1"],
        ["--train.lr", "0"],
        ["--train.batch-size", "0"],
        ["--train.batch-size", "2.5"],
        ["--train.steps", "-1"],
        ["--seed", "-1"],
        ["--scheduler.dims", "[" * 5000],
    ],
    ids=lambda one: " ".join(one)[:40],
)
def test_a_value_that_its_option_cannot_take_is_refused(diffx, echo, arguments):
    result = diffx("train", "--scheduler", "echo", *arguments)
    assert result.rc == 2
    assert len(result.err.splitlines()) == 1
