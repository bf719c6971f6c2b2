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
