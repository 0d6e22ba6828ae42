"""Fixtures of the presenter's tests."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import Disk


@pytest.fixture
def stage() -> Stage:
    """An open project with one annotated and three unlabelled cases, before round 0."""
    return opened(Disk.with_cases(3))
