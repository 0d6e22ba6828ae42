"""Small cases and qualities that the tests of the report share."""

import numpy as np

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import CaseQuality, ClassQuality
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure
from PseudoLabelCLLib.pipeline.report.report import RoundReport

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


SCHEMA = LabelSchema((LabelClass(1, "right ventricle", "#56b4e9"), LabelClass(3, "lv", "#e69f00")))


def grid(size, spacing_mm=(1.5, 1.5, 8.0), direction=IDENTITY):
    return Geometry(size, spacing_mm, (0.0, 0.0, 0.0), direction)


def ball(shape, center, radius, value=1):
    distance = np.sqrt(sum((x - c) ** 2 for x, c in zip(np.indices(shape), center, strict=True)))
    return np.where(distance <= radius, value, 0).astype(np.int16)


def make_figure(case_id="case", doubt=0.2, shape=(6, 40, 50), has_reference=False, **changes):
    geometry = grid(shape[::-1])
    rng = np.random.default_rng(7)
    center = tuple(n / 2 for n in shape)
    proposal = LabelVolume(ball(shape, center, 6), geometry)
    reference = LabelVolume(ball(shape, center, 8), geometry) if has_reference else None
    values = {
        "case_id": case_id,
        "volume": Volume(rng.normal(100, 20, shape).astype(np.float32), geometry),
        "proposal": proposal,
        "slicing_axis": 2,
        "reference": reference,
        "doubt": doubt,
        "doubt_per_slice": tuple(np.linspace(0.1, 0.3, shape[0])),
    }
    return CaseFigure(**{**values, **changes})


def quality_of_dice(*dices):
    classes = tuple(
        ClassQuality(label.name, label.value, dice, 1.0, 0.5, 10, 10)
        for label, dice in zip(SCHEMA, dices, strict=True)
    )
    return CaseQuality(classes)


def make_report(cases=(), **changes):
    values = {
        "project_name": "Hearts",
        "schema": SCHEMA,
        "round": Round(1, RoundState.IN_REVIEW, "", 2, 5, 1, "2026-03-02T10:11:12+01:00"),
        "device": "CPU, 2 threads",
        "duration_s": 125.4,
        "cases": cases,
    }
    return RoundReport(**{**values, **changes})
