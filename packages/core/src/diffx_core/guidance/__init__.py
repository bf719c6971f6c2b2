"""Guidance: a denoiser wrapped into a denoiser. Wrappers compose, and no sampler knows of them."""

from diffx_core.guidance.annealed import AnnealedCondition as AnnealedCondition
from diffx_core.guidance.classifier import ClassifierGuidance as ClassifierGuidance
from diffx_core.guidance.contrast import Autoguidance as Autoguidance
from diffx_core.guidance.contrast import ClassifierFreeGuidance as ClassifierFreeGuidance
from diffx_core.guidance.first_step import AnalyticFirstStep as AnalyticFirstStep
from diffx_core.guidance.inverse import DPS as DPS
from diffx_core.guidance.inverse import PiGDM as PiGDM
from diffx_core.guidance.inverse import Replacement as Replacement
from diffx_core.guidance.operators import Blur as Blur
from diffx_core.guidance.operators import Downsample as Downsample
from diffx_core.guidance.operators import Grey as Grey
from diffx_core.guidance.operators import Mask as Mask
from diffx_core.guidance.rules import Extrapolation as Extrapolation
from diffx_core.guidance.rules import PlusPlus as PlusPlus
from diffx_core.guidance.rules import Projected as Projected
from diffx_core.guidance.rules import Rescaled as Rescaled
