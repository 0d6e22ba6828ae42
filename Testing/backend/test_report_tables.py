"""Tests of the tables of the report."""

import re

import numpy as np
from report_phantoms import SCHEMA, ball, grid

from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.pipeline.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.report_curves import (
    RoundQuality,
)
from PseudoLabelCLLib.pipeline.report_tables import cases_table, rounds_table


def test_tables_tell_means_spreads_and_what_is_missing():
    shape = (4, 12, 12)
    geometry = grid((12, 12, 4))
    reference = LabelVolume(ball(shape, (2, 6, 6), 3), geometry)
    empty = LabelVolume(np.zeros(shape, np.int16), geometry)
    good, bad = (measure_quality(x, reference, SCHEMA) for x in (reference, empty))
    quality = RoundQuality(0, (("good", good), ("bad", bad)))
    table = cases_table(quality, SCHEMA, {})
    rows = re.findall(r"<tr><th>(.*?)</th>(.*?)</tr>", table)
    cells = {name: re.findall(r"<td.*?>(.*?)</td>", row) for name, row in rows}
    dash = "&ndash;"
    assert list(cells)[:2] == ["bad", "good"]
    assert cells["bad"] == ["0.000", "missing", "missing", *[dash] * 3, "0.000", dash, dash]
    assert cells["good"] == ["1.000", "0.0", "0.00", *[dash] * 3, "1.000", "0.0", "0.00"]
    assert cells["Mean"][0] == "0.500"
    assert cells["Standard deviation"][0] == "0.707"
    assert cells["Counted"] == ["2", "1", "1", "0", "0", "0", "2", "1", "1"]
    assert "0.500 <small>± 0.707</small>" in rounds_table((quality,), SCHEMA)
