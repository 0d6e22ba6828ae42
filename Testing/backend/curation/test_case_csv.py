"""Tables of cases in CSV files, and the names of cases."""

import csv
from pathlib import Path

import pytest

from PseudoLabelCLLib.curation.cases.case_csv import case_id_from_path, read_case_table
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import (
    ProjectError,
    StorageError,
)

ANNOTATED, UNLABELLED = CaseRole.ANNOTATED, CaseRole.UNLABELLED


@pytest.mark.parametrize(
    ("name", "case_id"),
    [
        ("patient 1.nii.gz", "patient 1"),
        ("heart.seg.nrrd", "heart"),
        ("Scan.MHA", "Scan"),
        ("v1.2.nii", "v1.2"),
        ("Łukasz-ü.nrrd", "Łukasz-ü"),
        ("dicom folder", "dicom folder"),
    ],
)
def test_case_is_named_after_its_file(name, case_id):
    assert case_id_from_path(Path("somewhere") / name) == case_id


def test_file_without_a_name_makes_no_case():
    with pytest.raises(ProjectError):
        case_id_from_path(Path(".nii.gz"))


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "cases.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_table_is_read_as_spreadsheets_write_it(tmp_path, separator, encoding):
    lines = ["ID,Role,Image,Annotation", "a,annotated,a.nii,a.seg.nrrd", "b,unlabelled,b.nii,", ""]
    path = table(tmp_path, "\r\n".join(lines).replace(",", separator), encoding)

    first, second = read_case_table(path)

    assert (first.case_id, first.role) == ("a", ANNOTATED)
    assert first.annotation == str(tmp_path / "a.seg.nrrd")
    assert (second.case_id, second.role, second.annotation) == ("b", UNLABELLED, None)


def test_empty_id_is_made_from_the_image(tmp_path):
    path = table(tmp_path, "id,role,image\n,unlabelled,sub/x 1.nii.gz\n")

    (row,) = read_case_table(path)

    assert row.case_id == "x 1"
    assert row.image == str(tmp_path / "sub" / "x 1.nii.gz")


def test_absolute_image_path_is_kept(tmp_path):
    path = table(tmp_path, f"id,role,image\na,unlabelled,{tmp_path / 'far' / 'a.nii'}\n")

    assert read_case_table(path)[0].image == str(tmp_path / "far" / "a.nii")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,image\na,a.nii\n", "lacks the column role"),
        ("", "lacks the column id, role, image"),
        ("id,role,image,anotation\n", "unknown column anotation"),
        ("id,id,role,image\n", "column id twice"),
        ("id,role,image\n", "lists no case"),
        ("id,role,image\na,trainig,a.nii\n", "Line 2 .* role 'trainig'"),
        ("id,role,image\na,unlabelled,\n", "Line 2 .* gives no image"),
        ("id,role,image\na,unlabelled,a.nii\nA,unlabelled,b.nii\n", "Line 3 .* second time"),
        ("id,role,image\na/b,unlabelled,a.nii\n", "Line 2 .*'a/b'"),
        ("id,role,image\na,unlabelled,a.nii,x,y\n", "more cells than the header"),
    ],
)
def test_wrong_table_is_told_with_its_line(tmp_path, text, words):
    with pytest.raises(ProjectError, match=words):
        read_case_table(table(tmp_path, text))


def test_table_of_another_encoding_is_told(tmp_path):
    path = table(tmp_path, "id,role,image\nMüller,unlabelled,a.nii\n", "latin-1")

    with pytest.raises(ProjectError, match="not UTF-8"):
        read_case_table(path)


@pytest.mark.parametrize("where", ["header", "row"])
def test_endless_cell_is_no_valid_table(tmp_path, where):
    long = "x" * (csv.field_size_limit() + 1)
    text = f"id,role,image\n{long},a,b\n" if where == "row" else f"id,role,image,{long}\n"

    with pytest.raises(ProjectError, match="not valid CSV"):
        read_case_table(table(tmp_path, text))


def test_missing_table_is_told(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        read_case_table(tmp_path / "nothing.csv")
