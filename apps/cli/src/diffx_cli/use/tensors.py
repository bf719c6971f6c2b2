"""One tensor of examples in a .safetensors file."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffx_core.errors import DataError, reason
from diffx_core.reached import finite

TENSORS = ".safetensors"


def tensor_in(file: Path, name: str, shape: tuple[int, ...], option: str) -> Tensor:
    """The tensor (n, *shape) of a file: its only one, or the one of a name.

    Args:
        file: which.
        name: of the tensor, where there are several.
        shape: of one example.
        option: by which the file was given, for messages.

    Raises:
        DataError: there is no such file or tensor, or it is of another shape, or not finite.
    """
    place = f"{option} {file}"
    try:
        held = load_file(file)
    except FileNotFoundError as error:
        raise DataError(f"{place}: is not there") from error
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{place}: is no {TENSORS} file: {reason(error)}") from error
    x = next(iter(held.values())) if len(held) == 1 else held.get(name)
    if x is None:
        found = ", ".join(held) or "none"
        raise DataError(f"{place}: has no tensor {name!r}, but {found}")
    wanted = ", ".join(map(str, shape))
    if tuple(x.shape[1:]) != shape or not len(x):
        raise DataError(f"{place}: is {tuple(x.shape)}, and the model's data are (n, {wanted})")
    if not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        raise DataError(f"{place}: has numbers of type {kind}; give it float32")
    x = x.float()
    if not finite(x):
        raise DataError(f"{place}: has numbers that are not finite, as float32")
    return x
