"""What the network is trained to do: which times it sees, what it has to say, how errors count."""

from diffx_core.objective.objective import Objective as Objective
