"""Networks that come in sizes: what to give one so that it suits a device and the data.

A backbone that knows its sizes says so by `ComesInSizes`; which size a device has room for, and how
large the batches are, is the same for all (`diffx train --preset`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from attrs import field, frozen
from attrs.validators import gt

if TYPE_CHECKING:
    from diffx_core.dataset import DataSpec

SizeName = Literal["tiny", "small", "medium", "large"]
"""How large a network may be, in words that mean something for each."""


@frozen(kw_only=True)
class Sized:
    """What a network is given to be of a size.

    Args:
        options: those of its class that make it so; the others keep their defaults.
        lr: the learning rate of Adam that it is known to train with.
    """

    options: Mapping[str, Any]
    lr: float = field(validator=gt(0))


@runtime_checkable
class ComesInSizes(Protocol):
    """A backbone's class that knows its sizes."""

    @classmethod
    def sized(cls, size: SizeName, spec: "DataSpec") -> Sized:
        """What makes a network of a size for data.

        Args:
            size: tiny for less than 4 GiB of memory and for processors, small for less than 8,
                medium for less than 16, large for more.
            spec: of the data; options that depend on its shape are chosen so that they suit it.
        """
        ...
