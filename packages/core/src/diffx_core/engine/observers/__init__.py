"""Observers of a run: who is told what happens in it. None of them changes it."""

from diffx_core.engine.observers.logged import Logged as Logged
from diffx_core.engine.observers.metrics import MetricsFile as MetricsFile
from diffx_core.engine.observers.metrics import read_metrics as read_metrics
from diffx_core.engine.observers.progress import Progress as Progress
from diffx_core.engine.observers.told import Told as Told
