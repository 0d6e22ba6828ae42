"""Shapes in annotations are checked in tests, and cost a program that runs no package."""

import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

from PseudoLabelCLLib.learning import shapes
from PseudoLabelCLLib.learning.losses.cosine import cosines
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork

LIBRARY = Path(shapes.__file__).parents[1]
# Imports every module, with the packages refused that only tests need, and draws an outline.
PROGRAM = """
import importlib, importlib.abc, sys
import numpy

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jaxtyping", "beartype", "matplotlib", "contourpy"}:
            raise ImportError("refused: " + name)

sys.meta_path.insert(0, Refuse())
for name in sys.argv[1:]:
    importlib.import_module(name)
from PseudoLabelCLLib.learning.losses.cosine import cosines
from PseudoLabelCLLib.pipeline.report.picture_elements import trace_contours
import torch
assert cosines.__annotations__["first"] is torch.Tensor
assert len(trace_contours(numpy.ones((2, 2), bool))) == 1
"""


def test_a_wrong_number_of_axes_is_refused_in_tests():
    with pytest.raises(jaxtyping.TypeCheckError, match="first"):
        cosines(torch.ones(3), torch.ones(2, 3))


def test_axes_of_one_name_must_have_one_size_in_tests():
    with pytest.raises(jaxtyping.TypeCheckError):
        cosines(torch.ones(2, 3), torch.ones(2, 4))


def test_a_wrong_type_of_number_is_refused_in_tests():
    with pytest.raises(jaxtyping.TypeCheckError):
        cosines(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 3))


def test_methods_are_checked_as_well():
    with pytest.raises(jaxtyping.TypeCheckError):
        SegmentationNetwork.forward(None, torch.ones(32))


def test_a_program_needs_neither_the_package_of_shapes_nor_one_for_plots():
    modules = [
        ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
        for path in sorted(LIBRARY.rglob("*.py"))
        if path.stem not in {"__init__", "__main__"}
    ]
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
