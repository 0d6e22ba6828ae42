"""Codes of segments, as Slicer writes them."""

import pytest
import slicer
import vtk
from hypothesis import given
from hypothesis import strategies as st
from PseudoLabelCLGui.mrml_bridge import (
    labels_of,
    set_terminology,
    terminology_of,
    terminology_text,
)
from scene_things import HEART, LEFT_KIDNEY

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.segmentation import Code, Terminology
from PseudoLabelCLLib.storage.segments.slicer_segments import segments_in

words = st.text(st.characters(exclude_characters="^~|", exclude_categories=("C",)), max_size=12)
codes = st.builds(Code, words, words.filter(bool), words)
some = st.one_of(st.none(), codes)
terminologies = st.builds(Terminology, codes, codes, some, some, some)


def slicers_text(terminology):
    """Let Slicer's own logic write the text."""

    def parts(code):
        return (code.value, code.scheme, code.meaning) if code else ("", "", "")

    return slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(
        "Segmentation category and type - 3D Slicer General Anatomy list",
        *parts(terminology.category),
        *parts(terminology.type),
        *parts(terminology.type_modifier),
        "Anatomic codes - DICOM master list",
        *parts(terminology.region),
        *parts(terminology.region_modifier),
    )


@pytest.mark.parametrize("terminology", [HEART, LEFT_KIDNEY], ids=["plain", "all five codes"])
def test_text_is_the_one_that_slicer_writes(terminology):
    assert terminology_text(terminology) == slicers_text(terminology)


@given(terminologies)
def test_codes_survive_the_text(terminology):
    if (terminology.category.value, terminology.type.value) != ("85756007", "85756007"):
        assert terminology_of(terminology_text(terminology)) == terminology


@given(terminologies)
def test_backend_reads_the_same_codes_from_the_same_text(terminology):
    text = terminology_text(terminology)
    header = {"Segment0_ID": "a", "Segment0_Tags": f"TerminologyEntry:{text}|"}
    (segment,) = segments_in(header, "a.seg.nrrd")
    assert terminology_of(text) == segment.terminology


@pytest.mark.parametrize("text", ["", "no such thing", "~~~~~~", "a~^^~^^~^^~b~^^~^^", "~" * 9])
def test_text_without_codes_gives_none(text):
    assert terminology_of(text) is None


def test_what_slicer_gives_to_a_new_segment_was_not_chosen(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("a", "A")
    (label,) = labels_of(node)
    assert label.terminology is None


def test_codes_set_on_a_segment_are_found_there_by_slicer_and_by_the_bridge(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("a", "A")
    set_terminology(node, "a", LEFT_KIDNEY)
    text = vtk.reference("")
    node.GetSegmentation().GetSegment("a").GetTag("TerminologyEntry", text)
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(str(text), entry)
    assert entry.GetTypeObject().GetCodeValue() == "64033007"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Left"
    assert node.GetSegmentation().GetSegment("a").GetTerminology() == str(text)
    assert labels_of(node)[0].terminology == LEFT_KIDNEY


def test_names_of_the_lists_stay_when_codes_change():
    earlier = terminology_text(HEART).replace("3D Slicer General Anatomy list", "my hospital")
    changed = terminology_text(LEFT_KIDNEY, like=earlier)
    assert changed.startswith("Segmentation category and type - my hospital~")
    assert terminology_of(changed) == LEFT_KIDNEY


def test_segment_that_is_gone_is_told_in_words(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    with pytest.raises(AnnotationError, match="'mine' no longer has the segment 'gone'"):
        set_terminology(node, "gone", HEART)
