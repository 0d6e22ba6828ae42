"""Fixtures of the presenter's tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "backend"))

from a_presenter import Stage, opened
from own_state import own_state  # noqa: F401 - a fixture of every test
from presenter_fakes import Disk


@pytest.fixture
def stage() -> Stage:
    """An open project with one annotated and three unlabelled cases, before round 0."""
    return opened(Disk.with_cases(3))
