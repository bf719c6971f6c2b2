"""What must hold of every noise process.

Closed forms are held against what follows from alpha and sigma alone; drift and diffusion against
the marginals that they must reproduce; what goes beyond a Gaussian path in continuous time, where a
process does, against what training and sampling rely on. Everything in float64.
"""

from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law
from diffx_core.testing.marginal_laws import MARGINAL_LAWS
from diffx_core.testing.path_laws import PATH_LAWS
from diffx_core.testing.sde_laws import SDE_LAWS

SCHEDULER_LAWS: tuple[Law[Scheduler], ...] = (*MARGINAL_LAWS, *SDE_LAWS, *PATH_LAWS)
