"""The conformance kit: laws that every component of a kind obeys, ours and yours.

`SchedulerSuite`, `SamplerSuite`, `BackboneSuite`, `DatasetSuite`, `TextSuite` and `LoggerSuite` are
pytest suites to subclass (install `diffx-core[testing]`); `SCHEDULER_LAWS`, `SAMPLER_LAWS`,
`BACKBONE_LAWS`, `DATASET_LAWS`, `TEXT_LAWS` and `LOGGER_LAWS` are the same laws as plain functions,
for any other runner.
"""

from typing import TYPE_CHECKING, Any

from diffx_core.testing.backbone_laws import BACKBONE_LAWS
from diffx_core.testing.dataset_laws import DATASET_LAWS
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.logger_laws import LOGGER_LAWS
from diffx_core.testing.oracle import (
    REFERENCE_PROCESSES,
    GaussianDenoiser,
    MixtureDenoiser,
    PointsDenoiser,
)
from diffx_core.testing.predicted import PredictedDenoiser
from diffx_core.testing.sampler_laws import SAMPLER_LAWS
from diffx_core.testing.scheduler_laws import SCHEDULER_LAWS
from diffx_core.testing.text_laws import TEXT_LAWS

if TYPE_CHECKING:
    from diffx_core.testing.suites import (
        BackboneSuite,
        DatasetSuite,
        LoggerSuite,
        SamplerSuite,
        SchedulerSuite,
        TextSuite,
    )

__all__ = [
    "BACKBONE_LAWS",
    "DATASET_LAWS",
    "LOGGER_LAWS",
    "REFERENCE_PROCESSES",
    "SAMPLER_LAWS",
    "SCHEDULER_LAWS",
    "TEXT_LAWS",
    "BackboneSuite",
    "DatasetSuite",
    "GaussianDenoiser",
    "Law",
    "LoggerSuite",
    "Measurement",
    "MixtureDenoiser",
    "PointsDenoiser",
    "PredictedDenoiser",
    "SamplerSuite",
    "SchedulerSuite",
    "TextSuite",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # the suites need pytest; the laws do not
    if name in __all__:
        from diffx_core.testing import suites

        return getattr(suites, name)
    raise AttributeError(f"module 'diffx_core.testing' has no attribute {name!r}")
