"""What a network cannot be built for, said with its numbers before anything is allocated."""

from diffx_core import ConfigError, DataSpec


def refuse(problems: list[str]) -> None:
    """Raises a ConfigError that names all of `problems`, if there are any."""
    if problems:
        raise ConfigError(*problems)


def non_positive(**sizes: int) -> list[str]:
    """A problem for each size that is below 1."""
    return [f"{name} must be at least 1, got {size}" for name, size in sizes.items() if size < 1]


def negative(**numbers: int) -> list[str]:
    """A problem for each number that is below 0."""
    return [f"{name} must be at least 0, got {one}" for name, one in numbers.items() if one < 0]


def not_an_image(name: str, spec: DataSpec) -> list[str]:
    """A problem if the data are not images (C, H, W)."""
    if spec.is_image:
        return []
    return [f"{name} needs images (C, H, W), but the data have the shape {spec.shape}; try mlp"]


def reads_no_context(name: str, spec: DataSpec) -> list[str]:
    """A problem if the data come with context tokens, for a network that would not read them."""
    if spec.context is None:
        return []
    there = f"the data have them ({spec.context})"
    return [f"{name} reads no context tokens, but {there}; dit, uvit and unet do"]


def unasked(name: str, spec: DataSpec, *, is_asked: bool) -> list[str]:
    """A problem if the data come with context tokens and nothing in the network asks them."""
    if spec.context is None or is_asked:
        return []
    return [f"{name} reads context tokens where it has attention, and it has none"]


def no_classes(name: str, count: int, spec: DataSpec) -> list[str]:
    """A problem if something is made of classes that the data do not have."""
    if count < 1 or spec.num_classes is not None:
        return []
    return [f"{name} {count} is not possible: the data have no classes"]


def not_divisible(name: str, size: int, factor: int, reason: str) -> list[str]:
    """A problem if `size` is no multiple of `factor`, where both are positive."""
    if size < 1 or factor < 1 or size % factor == 0:
        return []
    return [f"{name} {size} is not divisible by {factor}, {reason}"]


def sides_not_divisible(spec: DataSpec, factor: int, reason: str) -> list[str]:
    """A problem for each side of an image (C, H, W) that is no multiple of `factor`."""
    sides = zip(("height", "width"), spec.shape[1:], strict=True) if spec.is_image else ()
    return [
        problem for name, size in sides for problem in not_divisible(name, size, factor, reason)
    ]
