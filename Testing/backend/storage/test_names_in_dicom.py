"""What a structure is called and coded in DICOM: long names, Slicer's default term, and back."""

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.dicom_export import (
    DicomExportChoices,
    check_dicom_export,
    export_dicom_segmentations,
)
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

pytestmark = pytest.mark.filterwarnings("ignore")
GEOMETRY = phantoms.grid("oblique", size=(16, 12, 6))
KIDNEY = propose_terminology("left kidney")[0]
LIVER = propose_terminology("liver")[0]
LONG = "left kidney without its pelvis, its vessels and the fat that lies around "  # 72 characters
TISSUE = Code("SCT", "85756007", "Tissue")
OLD_TISSUE = Code("SRT", "T-D0050", "Tissue")


def drawn():
    array = np.zeros(GEOMETRY.array_shape, np.int16)
    array[1:4, 2:5, 3:9] = 3
    array[2:5, 7:11, 2:14] = 7
    return array


def a_project(folder, names, terms):
    """A project with one drawn DICOM case whose two structures have these names and terms."""
    schema = LabelSchema(
        tuple(
            LabelClass(value, name, "#e69f00", term)
            for value, name, term in zip((3, 7), names, terms, strict=True)
        )
    )
    root, file = folder / "project", folder / "drawn.seg.nrrd"
    project = Project("p", schema, config_for(Profile.QUICK))
    create_project(root, project)
    write_segmentation(file, LabelVolume(drawn(), GEOMETRY), schema)
    series = phantoms.write_series(folder / "series", GEOMETRY).folder
    return root, add_case(root, project, "a", CaseRole.ANNOTATED, series, file)[0]


@pytest.mark.parametrize(
    ("names", "terms"),
    [
        ((LONG + "(A)", "liver"), (KIDNEY, LIVER)),
        ((LONG + "(A)", "right " + LONG), (KIDNEY, KIDNEY)),
        (("kidney \\ left", "line\none"), (LIVER, LIVER)),
    ],
    ids=["long", "long, with one term", "what DICOM cannot hold"],
)
def test_object_is_read_back_with_the_labels_it_came_from(tmp_path, names, terms):
    root, project = a_project(tmp_path, names, terms)
    (line,) = export_dicom_segmentations(root, project, tmp_path / "out", DicomExportChoices())
    stored = [str(item.SegmentLabel) for item in pydicom.dcmread(line.path).SegmentSequence]
    assert all(len(name) <= 64 for name in stored)
    assert tuple(stored) != names
    project, notices = add_case(
        root, project, "b", CaseRole.ANNOTATED, tmp_path / "series", line.path
    )
    assert notices == ()
    found = read_segmentation(ProjectLayout(root).annotation("b"), project.schema)[0]
    np.testing.assert_array_equal(found.array, drawn())


def test_two_labels_that_agree_in_64_characters_stop_the_export(tmp_path, capsys):
    root, project = a_project(tmp_path, (LONG + "(A)", LONG + "(B)"), (KIDNEY, KIDNEY))
    told = [f for f in check_dicom_export(root, project, DicomExportChoices()) if f.stops]
    assert len(told) == 1
    assert "(A)'" in told[0].problem
    assert "(B)'" in told[0].problem
    assert "differ" in told[0].remedy
    with pytest.raises(ProjectError, match="would all be called"):
        export_dicom_segmentations(root, project, tmp_path / "out", DicomExportChoices())
    out = str(tmp_path / "out")
    assert main(["export", str(root), out, "--format", "dicom-seg"]) == 1
    assert "would all be called" in capsys.readouterr().err


def test_cut_name_is_told_on_the_command_line(tmp_path, capsys):
    root, _ = a_project(tmp_path, (LONG + "(A)", "liver"), (KIDNEY, LIVER))
    assert main(["export", str(root), str(tmp_path / "out"), "--format", "dicom-seg"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"will be called '{LONG[:64].strip()}'" in told


@pytest.mark.parametrize("tissue", [TISSUE, OLD_TISSUE])
def test_slicers_default_term_is_no_choice_and_stops_the_export(tmp_path, capsys, tissue):
    root, project = a_project(
        tmp_path, ("left kidney", "liver"), (Terminology(tissue, tissue), LIVER)
    )
    (told,) = [f for f in check_dicom_export(root, project, DicomExportChoices()) if f.stops]
    assert "'left kidney' has no terminology codes" in told.problem
    assert "'Tissue' to every new segment" in told.problem
    assert told.label_value == 3
    with pytest.raises(ProjectError, match="no terminology codes"):
        export_dicom_segmentations(root, project, tmp_path / "out", DicomExportChoices())
    assert main(["terms", str(root)]) == 0
    assert "not chosen" in capsys.readouterr().out
    assert main(["terms", str(root), "--accept-proposed"]) == 0
    assert main(["export", str(root), str(tmp_path / "out"), "--format", "dicom-seg"]) == 0
    (file,) = (tmp_path / "out").glob("*.dcm")
    (first, _) = pydicom.dcmread(file).SegmentSequence
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == KIDNEY.type.value
