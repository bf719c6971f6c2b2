"""The plain data of a pickle, read without running it: dicts, lists, numbers, arrays of bytes.

A pickle is a program; here its instructions are listed by the standard library and those that can
only build such data are followed by a machine of our own, which has no way to call anything. The
names that NumPy's arrays are written with are symbols; any other name is refused.
"""

import math
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import define, field, frozen

RECONSTRUCT = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
ENCODE = "_codecs encode"
DTYPE = "numpy dtype"
NAMES = {*RECONSTRUCT, ENCODE, DTYPE, "numpy ndarray"}
Data = Any
"""What a pickle of plain data holds."""


class NotPlainError(Exception):
    """A pickle holds something else than plain data."""


@frozen
class _Symbol:
    name: str


@define
class _Built:
    """What a symbol was applied to, and the state it was given."""

    name: str
    state: Data = None


_MARK = object()
_CONSTANTS: dict[str, Callable[[], Data]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = {"PROTO", "STOP", "FRAME"}


def plain_pickle(content: bytes) -> Data:
    """What a pickle of plain data holds; arrays of bytes are NumPy arrays.

    Raises:
        NotPlainError: it holds something else, or is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.follow(opcode.name, argument)
        (result,) = machine.stack
    except NotPlainError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise NotPlainError(f"is damaged ({error})") from error
    return _finished(result)


@define
class _Machine:
    stack: list[Data] = field(factory=list)
    memo: dict[int, Data] = field(factory=dict)

    def follow(self, name: str, argument: Data) -> None:  # noqa: PLR0912 - one case each
        stack = self.stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            stack.append(argument)
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name == "LIST":
            stack.append(self._since_mark())
        elif name == "DICT":
            stack.append(_pairs(self._since_mark()))
        elif name == "APPENDS":
            items = self._since_mark()
            _as(list, stack[-1]).extend(items)
        elif name == "APPEND":
            item = stack.pop()
            _as(list, stack[-1]).append(item)
        elif name == "SETITEMS":
            items = self._since_mark()
            _as(dict, stack[-1]).update(_pairs(items))
        elif name == "SETITEM":
            items = [stack.pop(-2), stack.pop()]
            _as(dict, stack[-1]).update(_pairs(items))
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(self.memo[argument])
        elif name in {"GLOBAL", "STACK_GLOBAL"}:
            stack.append(self._symbol(argument))
        elif name == "REDUCE":
            arguments, symbol = stack.pop(), stack.pop()
            stack.append(_applied(_as(_Symbol, symbol).name, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _as(_Built, stack[-1]).state = state
        elif name not in _NOTHING:
            raise NotPlainError(f"uses the instruction {name}")

    def _symbol(self, name: str | None) -> _Symbol:
        if name is None:
            last = self.stack.pop()
            name = f"{self.stack.pop()} {last}"
        if name not in NAMES:
            raise NotPlainError(f"names {name.replace(' ', '.')}")
        return _Symbol(name)

    def _since_mark(self) -> list[Data]:
        place = max(k for k, one in enumerate(self.stack) if one is _MARK)
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items


def _applied(name: str, arguments: Data) -> Data:
    if name == ENCODE:  # how Python 3 writes bytes for Python 2
        text, coding = arguments
        if coding != "latin1":
            raise NotPlainError(f"has bytes in {coding}")
        return text.encode("latin1")
    if name == DTYPE:
        return _Built(f"dtype {arguments[0]}")
    return _Built("array")


def _as(kind: type, value: Data) -> Data:
    if type(value) is not kind:
        raise NotPlainError(f"treats a {type(value).__name__} as a {kind.__name__.lstrip('_')}")
    return value


def _pairs(items: list[Data]) -> dict[Data, Data]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _finished(value: Data) -> Data:
    """Values without symbols, arrays among them; only those two levels deep are looked at."""
    if isinstance(value, dict):
        return {_text(key): _finished(one) for key, one in value.items()}
    if isinstance(value, _Built):
        return _array(value)
    return value


def _array(built: _Built) -> Data:
    if built.name != "array" or not isinstance(built.state, tuple) or len(built.state) != 5:
        raise NotPlainError("has something that is no array")
    _, shape, dtype, fortran, content = built.state
    if getattr(dtype, "name", None) != "dtype u1":
        raise NotPlainError("has an array of something else than bytes")
    if isinstance(content, str):  # Python 2 wrote bytes as text
        content = content.encode("latin1")
    if len(content) != math.prod(shape):
        raise NotPlainError(f"has {len(content)} bytes for an array of shape {shape}")
    flat = np.frombuffer(content, dtype=np.uint8)
    return flat.reshape(shape, order="F" if fortran else "C")


def _text(key: Data) -> Data:
    return key.decode("latin1") if isinstance(key, bytes) else key
