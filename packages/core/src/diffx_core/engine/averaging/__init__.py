"""Averages of the weights over the steps of training."""

from diffx_core.engine.averaging.average import Average as Average
from diffx_core.engine.averaging.exponential import Exponential as Exponential
from diffx_core.engine.averaging.kinds import Unaveraged as Unaveraged
from diffx_core.engine.averaging.kinds import average_of as average_of
from diffx_core.engine.averaging.power import Power as Power
from diffx_core.engine.averaging.reconstruction import Reconstruction as Reconstruction
from diffx_core.engine.averaging.reconstruction import reconstruct as reconstruct
