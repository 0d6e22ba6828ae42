"""Segments of DICOM segmentation objects, as tests describe them."""

from PseudoLabelCLLib.domain.segmentation import Code, Terminology
from PseudoLabelCLLib.storage.dicom.segment import (
    Algorithm,
    AlgorithmType,
    ObjectDescription,
    ObjectSegment,
    new_uid,
    tracking_uid_of,
)

STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
LEFT = Code("SCT", "7771000", "Left")
KIDNEY = Terminology(STRUCTURE, Code("SCT", "64033007", "Kidney"), LEFT)
MASS = Terminology(
    Code("SCT", "49755003", "Morphologically Altered Structure"),
    Code("SCT", "4147007", "Mass"), None, Code("SCT", "64033007", "Kidney"), LEFT,
)  # fmt: skip


def segment(number, label=None, terms=KIDNEY, type_=AlgorithmType.AUTOMATIC):
    by_hand = type_ is AlgorithmType.MANUAL
    made_by = Algorithm("PseudoLabelCL", "0.1.0", (("round", "2"), ("model", "sha256:0af")))
    return ObjectSegment(
        label or f"structure {number}", terms, "#56b4e9", type_, None if by_hand else made_by,
        f"id {number}", tracking_uid_of("1.2.3", f"Segment_{number}", terms), "Accepted as it is.",
    )  # fmt: skip


ABOUT = ObjectDescription("Segmentation, round 2", "content", "Doe^Jane", "0.1.0", 9003, new_uid())
