"""Options are read from the class that takes them."""

from typing import Any, Literal

import pytest
from attrs import Factory, define, field, frozen
from attrs.validators import and_, ge, lt

from diffx_core.config import REQUIRED, Given, options_of, structure
from diffx_core.errors import PluginError


@frozen(kw_only=True)
class Noise:
    """A process.

    Args:
        rate: how fast,
            and how hard.
        name: what it is called.

    References:
        Nobody: nothing.
    """

    rate: float = field(default=0.5, validator=and_(ge(0), lt(1)))
    name: str
    sizes: tuple[int, ...] = field(default=Factory(lambda: (1, 2)))
    order: Literal["one", "two"] = "one"
    _hidden: int = field(default=3, init=False)


class Network:
    """A network.

    Args:
        spec: the facts.
        width: channels.
    """

    def __init__(self, spec: object, *, width: int = 64, depth: "int | None" = None) -> None:
        self.width, self.depth = width, depth


def test_attrs_fields_are_options():
    options = {one.name: one for one in options_of(Noise)}
    assert list(options) == ["rate", "name", "sizes", "order"]
    assert options["rate"].help == "how fast, and how hard."
    assert options["rate"].default == 0.5
    assert options["name"].default is REQUIRED
    assert options["sizes"].default == (1, 2)
    assert options["order"].type == Literal["one", "two"]


def test_keyword_only_parameters_are_options():
    width, depth = options_of(Network)
    assert (width.name, width.type, width.default, width.help) == ("width", int, 64, "channels.")
    assert (depth.name, depth.type, depth.default) == ("depth", int | None, None)


def test_help_is_inherited():
    @frozen(kw_only=True)
    class Louder(Noise):
        """A louder process."""

    assert next(iter(options_of(Louder))).help == "how fast, and how hard."


@pytest.mark.parametrize("annotation", [Any, dict[str, int], object], ids=str)
def test_an_option_that_no_text_can_give_is_a_fault_of_the_plugin(annotation):
    def init(self, *, odd=None):
        pass

    init.__annotations__ = {"odd": annotation}
    with pytest.raises(PluginError, match="option odd"):
        options_of(type("Odd", (), {"__init__": init}))


def test_an_option_without_an_annotation_is_a_fault_of_the_plugin():
    class Bare:
        def __init__(self, *, width=3):
            pass

    with pytest.raises(PluginError, match="option width"):
        options_of(Bare)


def test_every_mistake_is_found():
    given = {
        "rate": Given("1.5", "--noise.rate"),
        "order": Given("three", "--noise.order"),
        "ratee": Given("1", "run.yaml:3: noise.ratee"),
    }
    _, problems = structure(options_of(Noise), given, owner="noise (x 1.0)", prefix="noise.")
    assert sorted(problems) == [
        "--noise.name: is required: what it is called.",
        "--noise.order: needs one of one, two, not 'three'",
        "--noise.rate: must be < 1, got 1.5",
        (
            "run.yaml:3: noise.ratee: noise (x 1.0) has no option ratee; did you mean rate?"
            " (it has rate, name, sizes, order)"
        ),
    ]


def test_defaults_are_filled_in():
    values, problems = structure(options_of(Noise), {"name": Given("a", "--name")}, owner="noise")
    assert values == {"rate": 0.5, "name": "a", "sizes": (1, 2), "order": "one"}
    assert not problems


def test_a_validator_that_looks_at_other_fields_waits_for_the_object():
    @define(kw_only=True)
    class Range:
        low: float = 0.0
        high: float = field(default=1.0)

        @high.validator
        def _above(self, _attribute, value):
            if value <= self.low:
                raise ValueError("high must be above low")

    values, problems = structure(options_of(Range), {"high": Given("-1", "--high")}, owner="range")
    assert not problems
    with pytest.raises(ValueError, match="above low"):
        Range(**values)
