"""Every dataset obeys the laws of the conformance kit, as a stranger's does."""

import pytest

from diffx_core.testing import DatasetSuite


class TestEveryDataset(DatasetSuite):
    @pytest.fixture(autouse=True)
    def one(self, dataset):
        self.dataset = dataset

    def component(self):
        return self.dataset
