"""Where on the way from noise to data a sampler stops: falling times, the last one that of data.

A grid maps (scheduler, steps, latest time) to steps + 1 times, in float64. The last step of a
sampler usually lands on clean data instead of the last time; see `diffx_core.sampler.Plan`.
"""

from diffx_core.grids.legal import legal as legal
from diffx_core.grids.naming import GRIDS as GRIDS
from diffx_core.grids.naming import Grid as Grid
from diffx_core.grids.naming import GridName as GridName
from diffx_core.grids.naming import grid_named as grid_named
from diffx_core.grids.naming import is_grid as is_grid
from diffx_core.grids.spacing import FINITE_LOG_SNR as FINITE_LOG_SNR
from diffx_core.grids.spacing import flow as flow
from diffx_core.grids.spacing import karras as karras
from diffx_core.grids.spacing import logsnr as logsnr
from diffx_core.grids.spacing import quadratic as quadratic
from diffx_core.grids.spacing import time_shift as time_shift
from diffx_core.grids.spacing import uniform as uniform
from diffx_core.grids.tables import ays as ays
from diffx_core.grids.tables import ratios as ratios
