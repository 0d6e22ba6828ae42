"""MRML nodes to files and arrays and back; the only place that knows Slicer's RAS; no Qt."""

from PseudoLabelCLGui.mrml_bridge.case_memory import CaseMemory
from PseudoLabelCLGui.mrml_bridge.dicom_preparation import (
    Origin,
    export_problems,
    prepare_for_dicom_export,
)
from PseudoLabelCLGui.mrml_bridge.geometry import geometry_of, ijk_to_ras
from PseudoLabelCLGui.mrml_bridge.label_files import read_labels, unpack_labels
from PseudoLabelCLGui.mrml_bridge.label_nodes import add_segmentation, show_segmentation
from PseudoLabelCLGui.mrml_bridge.proposals import (
    ShownCase,
    add_doubt,
    fits_case,
    forget_case,
    is_edited,
    save_edits_with_scene,
    show_as_outline,
    show_case,
    show_previous,
    show_read_case,
    snapshot_correction,
)
from PseudoLabelCLGui.mrml_bridge.scene_link import (
    CaseMark,
    Made,
    case_of,
    forget_case_of,
    hand_over,
    keep_out_of_lists,
    made_as,
    mark_made,
    nodes_of_case,
    project_of,
    remember_case,
    remember_project,
    volume_of_case,
)
from PseudoLabelCLGui.mrml_bridge.segmentation_snapshot import Overlap, SegmentationSnapshot
from PseudoLabelCLGui.mrml_bridge.segmentations import (
    labels_of,
    save_segmentation,
    segmentation_problems,
    set_terminology,
    snapshot_segmentation,
)
from PseudoLabelCLGui.mrml_bridge.spare_nodes import SpareNodes
from PseudoLabelCLGui.mrml_bridge.statuses import left_out, set_verdict, verdict_of
from PseudoLabelCLGui.mrml_bridge.volumes import (
    SavedVolume,
    VolumeSnapshot,
    save_volume,
    show_volume,
    snapshot_volume,
    source_of,
    volume_problems,
)
from PseudoLabelCLGui.mrml_bridge.voxel_memory import SpareVoxels, VoxelMemory
from PseudoLabelCLLib.storage.segments.terminology_text import terminology_of, terminology_text

__all__ = [
    "CaseMark",
    "CaseMemory",
    "Made",
    "Origin",
    "Overlap",
    "SavedVolume",
    "SegmentationSnapshot",
    "ShownCase",
    "SpareNodes",
    "SpareVoxels",
    "VolumeSnapshot",
    "VoxelMemory",
    "add_doubt",
    "add_segmentation",
    "case_of",
    "export_problems",
    "fits_case",
    "forget_case",
    "forget_case_of",
    "geometry_of",
    "hand_over",
    "ijk_to_ras",
    "is_edited",
    "keep_out_of_lists",
    "labels_of",
    "left_out",
    "made_as",
    "mark_made",
    "nodes_of_case",
    "prepare_for_dicom_export",
    "project_of",
    "read_labels",
    "remember_case",
    "remember_project",
    "save_edits_with_scene",
    "save_segmentation",
    "save_volume",
    "segmentation_problems",
    "set_terminology",
    "set_verdict",
    "show_as_outline",
    "show_case",
    "show_previous",
    "show_read_case",
    "show_segmentation",
    "show_volume",
    "snapshot_correction",
    "snapshot_segmentation",
    "snapshot_volume",
    "source_of",
    "terminology_of",
    "terminology_text",
    "unpack_labels",
    "verdict_of",
    "volume_of_case",
    "volume_problems",
]
