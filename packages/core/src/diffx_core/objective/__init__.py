"""What the network is trained to do: which times it sees, what it has to say, how errors count."""

from diffx_core.objective.objective import Objective as Objective
from diffx_core.objective.objective import Part as Part
from diffx_core.objective.objective import Terms as Terms
from diffx_core.objective.times import TimeDensity as TimeDensity
