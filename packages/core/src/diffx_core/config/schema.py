"""The options of a component, read from its class: written once, where they are used.

A frozen attrs class has its keyword-only fields as options, and their validators as checks; a field
that takes more in Python than text can say has the type of the text as metadata "text", and one
whose name is a word of Python's own is written without the underscore by metadata "name". Any other
class, such as an ``nn.Module``, has the annotated keyword-only parameters of its ``__init__``. Help
is the class docstring's ``Args:``.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, get_type_hints

import attrs
from attrs import field, frozen

from diffx_core.config.convert import Value, is_convertible, type_name
from diffx_core.errors import PluginError


class _Required(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED
"""The default of an option that has none."""

Check = Callable[[Any], None]


@frozen(kw_only=True)
class Option:
    """One option of a component.

    Args:
        name: as it is written in flags and files.
        type: its annotation.
        default: what it is when nobody says; `REQUIRED` if somebody must.
        help: one sentence.
        checks: called with a typed value; each raises ValueError if it is out of range.
    """

    name: str
    type: Any
    default: Any = REQUIRED
    help: str = ""
    checks: tuple[Check, ...] = field(default=(), eq=False, repr=False)


def options_of(target: type) -> tuple[Option, ...]:
    """The options of a class, in the order in which it declares them.

    Raises:
        PluginError: an option has no annotation, or one that cannot be read from text.

    Examples:
        >>> from attrs import field
        >>> @frozen(kw_only=True)
        ... class Steps:
        ...     '''What is done.
        ...
        ...     Args:
        ...         count: how often.
        ...     '''
        ...     count: int = field(default=3)
        >>> [(one.name, one.type, one.default, one.help) for one in options_of(Steps)]
        [('count', <class 'int'>, 3, 'how often.')]
    """
    read = _of_attrs if attrs.has(target) else _of_signature
    options = tuple(read(target))
    for option in options:
        if not is_convertible(option.type):
            raise PluginError(
                f"option {option.name} of {target.__module__}.{target.__qualname__} has the type"
                f" {type_name(option.type)}, which cannot be given as text"
            )
    return options


def arguments(target: type, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values of options by the names that the constructor of an attrs class has for them."""
    names = {one.metadata.get("name", one.alias): one.alias for one in attrs.fields(target)}
    return {names[name]: value for name, value in values.items()}


def _of_attrs(target: type) -> Iterator[Option]:
    hints, texts = get_type_hints(target), _help(target)
    for one in attrs.fields(target):
        if one.init and one.kw_only:
            yield Option(
                name=one.metadata.get("name", one.alias),
                type=one.metadata.get("text", hints.get(one.name, one.type)),
                default=_default(one),
                help=texts.get(one.name, ""),
                checks=() if one.validator is None else (_check(one),),
            )


def _of_signature(target: type) -> Iterator[Option]:
    constructor: Any = target.__init__  # type: ignore[misc] # its signature is read, it is not called
    hints, texts = get_type_hints(constructor), _help(target)
    for name, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            missing = parameter.default is parameter.empty
            yield Option(
                name=name,
                type=hints.get(name),
                default=REQUIRED if missing else parameter.default,
                help=texts.get(name, ""),
            )


def _default(attribute: "attrs.Attribute[Any]") -> Value:
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return REQUIRED
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type] # a class, typed as a function
        return default
    if default.takes_self:
        raise PluginError(
            f"the option {attribute.name} has a default that depends on other options; "
            "make it None and derive the value where it is used"
        )
    return default.factory()


def _check(attribute: "attrs.Attribute[Any]") -> Check:
    validator = attribute.validator
    assert validator is not None

    def check(value: Value) -> None:
        try:
            validator(None, attribute, value)
        except (AttributeError, TypeError):
            # It looks at other fields; the finished object will be judged by it when it is built.
            return
        except ValueError as error:
            raise ValueError(_reworded(attribute.name, value, error)) from None

    return check


def _reworded(name: str, value: object, error: ValueError) -> str:
    text = str(error.args[0]) if error.args else "is not allowed"
    return text.removeprefix(f"'{name}' ").removesuffix(f": {value}")


def _help(target: type) -> dict[str, str]:
    texts: dict[str, str] = {}
    for one in reversed(target.__mro__[:-1]):
        texts.update(_args(inspect.cleandoc(one.__doc__ or "")))
    return texts


def _args(doc: str) -> Iterator[tuple[str, str]]:
    section = re.search(r"^Args:\n((?:[ \t]+.*(?:\n|\Z)|\n)*)", doc, re.MULTILINE)
    if section is None:
        return
    body = inspect.cleandoc("\n" + section[1])
    for entry in re.split(r"\n(?=\S)", body):
        name, colon, text = entry.partition(":")
        if colon:
            yield name.strip(), " ".join(text.split())
