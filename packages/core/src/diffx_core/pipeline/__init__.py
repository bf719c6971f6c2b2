"""A trained run, loaded: everything that people do with a model begins here."""

from diffx_core.pipeline.drawing import Drawing as Drawing
from diffx_core.pipeline.guiding import Wrapper as Wrapper
from diffx_core.pipeline.latent import slerp as slerp
from diffx_core.pipeline.pipeline import Pipeline as Pipeline
