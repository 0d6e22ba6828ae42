"""The terminology text of a segment."""

import slicer
import vtk


def text_of_segment(segment: "slicer.vtkSegment") -> str:
    """Return the terminology text of a segment, or an empty one."""
    text = vtk.reference("")
    has_one = segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
    return str(text) if has_one else ""
