"""Which device a name means here."""

import torch

from diffx_core.errors import ConfigError


def device_named(name: str) -> torch.device:
    """The device; ``auto`` is the accelerator, or the CPU if there is none.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--device {name!r} cannot be used here: {reason}") from error
    return device


def memory_of(device: torch.device) -> int | None:
    """The bytes of an accelerator, whoever uses them now; None of a processor, which shares its."""
    if device.type == "cpu":
        return None
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    _, total = torch.accelerator.get_memory_info(device)
    return total
