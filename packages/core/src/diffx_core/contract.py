"""Which sampler can sample which process: what one needs and the other offers, and the times.

All of this is known without a network, so a pair that cannot work is refused before there is one.
"""

from typing import Any

from diffx_core.errors import ConfigError
from diffx_core.grids import legal
from diffx_core.sampler import Plan, Sampler
from diffx_core.scheduler import Scheduler

Names = tuple[str, str]
"""What messages call the sampler and the scheduler: with the distribution, where it is known."""


def offered(scheduler: Scheduler) -> frozenset[str]:
    """What a process offers; to be known at any time is not claimed but has or has not a grid."""
    return scheduler.offers() | ({"any_time"} if scheduler.grid() is None else set())


def agree(sampler: Sampler[Any], scheduler: Scheduler, names: Names | None = None) -> None:
    """Refuse a sampler that needs what the process does not offer.

    Args:
        sampler: the method.
        scheduler: the process.
        names: what to call the two; by their classes if None.

    Raises:
        ConfigError: what is missing, who needs it and who does not offer it.
    """
    needs, offers = frozenset[str](sampler.needs()), offered(scheduler)
    if missing := needs - offers:
        one, other = names or (type(sampler).__name__, type(scheduler).__name__)
        raise ConfigError(
            f"the sampler {one} needs {', '.join(sorted(missing))}, "
            f"which the scheduler {other} does not offer; "
            f"it offers {', '.join(sorted(offers)) or 'nothing beyond alpha and sigma'}"
        )


def require(sampler: Sampler[Any], scheduler: Scheduler, names: Names | None = None) -> Plan:
    """Refuse a pair that cannot work, down to the times and the weights of its steps.

    Args:
        sampler: the method, with its number of steps.
        scheduler: the process.
        names: what to call the two; by their classes if None.

    Returns:
        the times from the end of the process to the data, all of them known to the process.

    Raises:
        ConfigError: what is missing, or why the steps cannot be taken.
    """
    agree(sampler, scheduler, names)
    plan = Plan.of(scheduler, legal(scheduler, sampler.times(scheduler, scheduler.t_max)))
    sampler.start(plan)
    return plan
