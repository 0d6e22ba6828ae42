"""Tests of the picture that sets segmentations side by side."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_phantoms import SCHEMA, ball

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from comparison_picture import ComparisonRow, write_comparison_picture


def test_a_comparison_is_one_png_with_a_row_for_each_slice(tmp_path):
    truth = ball((40, 50), (20, 25), 8)
    row = ComparisonRow("case 1", np.ones((40, 50)), (truth, truth, truth), (1.0, 1.5))
    titles = ("Image", "Round 0", "Round 2", "Reference")
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    write_comparison_picture(one, (row,), titles, SCHEMA)
    write_comparison_picture(two, (row, row), titles, SCHEMA)
    with Image.open(one) as first, Image.open(two) as second:
        assert first.format == second.format == "PNG"
        assert first.width == second.width > 1000
        assert second.height > 1.5 * first.height
        colors = {color for _, color in first.convert("RGB").getcolors(10**6)}
    assert (0x56, 0xB4, 0xE9) in colors


def test_a_comparison_with_a_missing_column_is_refused(tmp_path):
    row = ComparisonRow("case 1", np.ones((4, 5)), (), (1.0, 1.0))
    with pytest.raises(ValueError, match="expected 1 segmentations"):
        write_comparison_picture(tmp_path / "x.png", (row,), ("Image", "Reference"), SCHEMA)
