"""Tests of the tables of the report."""

import re

import numpy as np
from report_phantoms import SCHEMA, ball, grid, make_report

from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.report.curves import RoundQuality
from PseudoLabelCLLib.pipeline.report.report import render_report


def page_of(quality):
    return "".join(render_report(make_report(qualities=(quality,))))


def test_tables_tell_means_spreads_and_what_is_missing():
    shape = (4, 12, 12)
    geometry = grid((12, 12, 4))
    reference = LabelVolume(ball(shape, (2, 6, 6), 3), geometry)
    empty = LabelVolume(np.zeros(shape, np.int16), geometry)
    good, bad = (measure_quality(x, reference, SCHEMA) for x in (reference, empty))
    quality = RoundQuality(0, (("good", good), ("bad", bad)))
    page = page_of(quality)
    table = page[page.index("Every case") :]
    rows = re.findall(r"<tr><th>(.*?)</th>(.*?)</tr>", table)
    cells = {name: re.findall(r"<td.*?>(.*?)</td>", row) for name, row in rows}
    dash = "\N{EN DASH}"
    assert list(cells)[:2] == ["bad", "good"]
    assert cells["bad"] == [
        *("0.000", "missed", "missed", *[dash] * 3, "0.000"),
        *[f"{dash} <small>+ 1 missed</small>"] * 2,
    ]
    assert cells["good"] == ["1.000", "0.0", "0.00", *[dash] * 3, "1.000", "0.0", "0.00"]
    # the mean distance of the one case that has one never stands alone
    assert cells["Mean"][:3] == [
        "0.500",
        "0.0 <small>+ 1 missed</small>",
        "0.00 <small>+ 1 missed</small>",
    ]
    assert "larger of the two directed 95th percentiles" in table
    assert cells["Standard deviation"][0] == "0.707"
    assert cells["Counted"] == ["2", "1", "1", "0", "0", "0", "2", "1", "1"]
    assert "0.500 <small>± 0.707</small>" in page[: page.index("Every case")]


def test_structure_that_only_the_segmentation_holds_is_called_invented():
    shape = (4, 12, 12)
    geometry = grid((12, 12, 4))
    filled = LabelVolume(ball(shape, (2, 6, 6), 3), geometry)
    empty = LabelVolume(np.zeros(shape, np.int16), geometry)
    quality = RoundQuality(0, (("one", measure_quality(filled, empty, SCHEMA)),))
    table = page_of(quality)
    assert table.count("<td>invented</td>") == 2
    assert "missed</" not in table
    assert table.count("<small>+ 1 invented</small>") == 2 + 2 + 2  # of the case, of both means
