"""How much memory a process has needed."""

import sys

import torch


def peak_memory() -> int | None:
    """Bytes at most: of the accelerator where one is used, or of the process; None if not known."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_reserved()
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
