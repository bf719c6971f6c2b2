"""The laws as pytest suites: subclass one, return your component, and pytest does the rest.

class TestCosh(SchedulerSuite):
    def component(self) -> Scheduler:
        return CoshSDE()
"""

from abc import ABC, abstractmethod

import pytest

from diffx_core.dataset import Dataset
from diffx_core.logger import Logger
from diffx_core.scheduler import Scheduler
from diffx_core.testing.backbone_laws import BACKBONE_LAWS
from diffx_core.testing.dataset_laws import DATASET_LAWS
from diffx_core.testing.law import Law
from diffx_core.testing.logger_laws import LOGGER_LAWS
from diffx_core.testing.run_laws import AnySampler
from diffx_core.testing.sampler_laws import SAMPLER_LAWS
from diffx_core.testing.scheduler_laws import SCHEDULER_LAWS
from diffx_core.testing.subjects import Build
from diffx_core.testing.text_laws import TEXT_LAWS
from diffx_core.text import TextEncoder


class SchedulerSuite(ABC):
    """Every law of a noise process."""

    @abstractmethod
    def component(self) -> Scheduler:
        """The process to test."""

    @pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=str)
    def test_law(self, law: Law[Scheduler]) -> None:
        """The law holds."""
        found = law.check(self.component())
        if not found.measured:
            pytest.skip(found.detail)


class SamplerSuite(ABC):
    """Every law of a sampler."""

    @abstractmethod
    def component(self) -> AnySampler:
        """The sampler to test."""

    @pytest.mark.parametrize("law", SAMPLER_LAWS, ids=str)
    def test_law(self, law: Law[AnySampler]) -> None:
        """The law holds."""
        found = law.check(self.component())
        if not found.measured:
            pytest.skip(found.detail)


class BackboneSuite(ABC):
    """Every law of a network."""

    @abstractmethod
    def component(self) -> Build:
        """The class to test; `functools.partial(Class, width=8)` binds options."""

    @pytest.mark.parametrize("law", BACKBONE_LAWS, ids=str)
    def test_law(self, law: Law[Build]) -> None:
        """The law holds."""
        found = law.check(self.component())
        if not found.measured:
            pytest.skip(found.detail)


class DatasetSuite(ABC):
    """Every law of a dataset."""

    @abstractmethod
    def component(self) -> Dataset:
        """The dataset to test, of a few small files that the test writes."""

    @pytest.mark.parametrize("law", DATASET_LAWS, ids=str)
    def test_law(self, law: Law[Dataset]) -> None:
        """The law holds."""
        found = law.check(self.component())
        if not found.measured:
            pytest.skip(found.detail)


class TextSuite(ABC):
    """Every law of a text encoder."""

    @abstractmethod
    def component(self) -> TextEncoder:
        """The encoder to test."""

    @pytest.mark.parametrize("law", TEXT_LAWS, ids=str)
    def test_law(self, law: Law[TextEncoder]) -> None:
        """The law holds."""
        law.check(self.component())


class LoggerSuite(ABC):
    """Every law of a logger."""

    @abstractmethod
    def component(self) -> Logger:
        """The logger to test, which has not been started."""

    @pytest.mark.parametrize("law", LOGGER_LAWS, ids=str)
    def test_law(self, law: Law[Logger]) -> None:
        """The law holds."""
        law.check(self.component())
