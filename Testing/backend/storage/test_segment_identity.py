"""Names and terms tell which structure a segment is; the numbers of its file never do."""

import numpy as np
import pytest
from nrrd_by_hand import masks_of, write_nrrd

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, LeftOutError, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

GRID = Geometry((12, 10, 8), (1.5, 1.5, 6), (-48, -42, -40), (1, 0, 0, 0, 1, 0, 0, 0, 1))
# three lopsided structures, none of which can be taken for another
TRUTH = np.zeros(GRID.array_shape, np.uint8)
TRUTH[1:7, 1:3, 1:3] = 1
TRUTH[2:6, 3, 1:5] = 2
TRUTH[2:5, 1:3, 4] = 3
NAMES = {1: "RV", 2: "MYO", 3: "LV"}
SCHEMA = LabelSchema(tuple(LabelClass(v, name, "#e69f00") for v, name in NAMES.items()))
# 1 = LV, 2 = RV, 3 = MYO
TURNED = np.array([0, 2, 3, 1], np.uint8)[TRUTH]
CATEGORY = Code("SCT", "123037004", "Anatomical Structure")
KIDNEY = Code("SCT", "64033007", "Kidney")
LEFT, RIGHT = Code("SCT", "7771000", "Left"), Code("SCT", "24028007", "Right")


def fields(rows, **more):
    """Return the header of segments {number: (ID, name, value)}; an empty text is left out."""
    found = {}
    for number, (segment_id, name, value) in rows.items():
        told = {"ID": segment_id, "Name": name, "LabelValue": value, "Layer": 0, **more}
        found |= {f"Segment{number}_{key}": text for key, text in told.items() if text != ""}
    return found


def read(path, schema=SCHEMA, **how):
    how = {"asking": Asking()} | how
    return read_segmentation(path, schema, **how)[0].array


def asked(path, schema=SCHEMA):
    """Return the question that a file raises."""
    with pytest.raises(QuestionError) as told:
        read(path, schema)
    return told.value.question


def answered(path, kind, value, schema=SCHEMA):
    return read(path, schema, asking=Asking("", [GivenAnswer(kind, value)]))


@pytest.fixture
def a_path(tmp_path):
    return tmp_path / "b.seg.nrrd"


def test_names_decide_against_automatic_identifiers_of_another_order(a_path):
    rows = {0: ("Segment_1", "LV", 1), 1: ("Segment_2", "rv ", 2), 2: ("Segment_3", "MYO", 3)}
    write_nrrd(a_path, TURNED, fields(rows))
    np.testing.assert_array_equal(read(a_path), TRUTH)


@pytest.mark.parametrize("prefix", ["Segment_", "S_"])
def test_other_names_with_the_identifiers_of_the_labels_are_asked_about(a_path, prefix):
    labels = LabelSchema(
        tuple(LabelClass(v, n, "#e69f00", segment_id=f"{prefix}{v}") for v, n in NAMES.items())
    )
    names = ("left ventricle", "right ventricle", "myocardium")
    rows = {n: (f"{prefix}{n + 1}", name, n + 1) for n, name in enumerate(names)}
    write_nrrd(a_path, TURNED, fields(rows))
    question = asked(a_path, labels)
    assert question.kind is QuestionKind.BY_IDENTIFIER
    assert "'left ventricle' that of 'RV'" in question.message
    assert "'myocardium' that of 'LV'" in question.message
    with pytest.raises(LeftOutError):
        answered(a_path, QuestionKind.BY_IDENTIFIER, "leave", labels)
    taken = answered(a_path, QuestionKind.BY_IDENTIFIER, "take", labels)
    np.testing.assert_array_equal(taken, TURNED)


def test_names_that_nobody_gave_are_asked_about_from_the_second_file_on(tmp_path, capsys):
    """Two annotators in two orders, and no name: nothing in the files tells who is right."""
    rng = np.random.default_rng(0)
    names = [f"Segment_{n}" for n in (1, 2, 3)]
    pairs = []
    for case, array in (("a", TRUTH), ("b", TURNED)):
        image = (TRUTH * 50 + rng.normal(0, 5, TRUTH.shape)).astype(np.float32)
        write_volume(tmp_path / f"{case}.nrrd", Volume(image, GRID))
        rows = {n: (name, name, n + 1) for n, name in enumerate(names)}
        write_nrrd(tmp_path / f"{case}.seg.nrrd", array, fields(rows))
        pairs += ["--annotated", str(tmp_path / f"{case}.nrrd"), str(tmp_path / f"{case}.seg.nrrd")]
    assert main(["create", str(tmp_path / "one"), *pairs[:3]]) == 0
    capsys.readouterr()
    assert main(["create", str(tmp_path / "P"), *pairs]) == 1
    told = capsys.readouterr().err
    assert "In 'b.seg.nrrd', nobody named the segments 'Segment_1', 'Segment_2'" in told
    assert "b:by-identifier=take" in told
    assert main(["create", str(tmp_path / "P"), *pairs, "--answer", "by-identifier=take"]) == 0


def test_single_segment_that_nobody_named_is_no_question(a_path):
    one = LabelSchema((LabelClass(1, "Segment_1", "#e69f00"),))
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), fields({0: ("x", "Segment_1", 1)}))
    np.testing.assert_array_equal(read(a_path, one), TRUTH == 1)


def test_identifier_of_a_label_that_another_segment_is_proves_nothing(a_path):
    rows = {0: ("Segment_1", "cyst", 1), 1: ("Segment_4", "RV", 2), 2: ("Segment_3", "LV", 3)}
    write_nrrd(a_path, TRUTH, fields(rows))
    with pytest.raises(QuestionError, match="are not structures of the project: cyst"):
        read(a_path)


# what the project has, and a segment that it does not have
CYST = {
    0: ("Segment_1", "LV", 1), 1: ("Segment_2", "RV", 2), 2: ("Segment_9", "cyst", 3),
}  # fmt: skip
NUM_CYST = np.count_nonzero(TURNED == 3)


def test_segment_that_the_project_lacks_is_asked_about_with_its_voxels(a_path):
    write_nrrd(a_path, TURNED, fields(CYST))
    question = asked(a_path)
    assert (question.kind, question.num_voxels) == (QuestionKind.UNLISTED, NUM_CYST)
    assert f"cyst ({NUM_CYST} voxels)" in question.message
    assert [choice.value for choice in question.choices] == ["background", "leave"]
    np.testing.assert_array_equal(
        answered(a_path, QuestionKind.UNLISTED, "background"), np.where(TRUTH == 2, 0, TRUTH)
    )
    with pytest.raises(LeftOutError):
        answered(a_path, QuestionKind.UNLISTED, "leave")


def test_segment_that_the_project_lacks_becomes_a_structure_with_its_own_name_and_codes(a_path):
    rows = fields(CYST) | {
        "Segment2_Color": "0.2 0.4 0.6", "Segment2_Tags": tags(KIDNEY), "Segment2_ID": "Segment_1",
    }  # fmt: skip
    write_nrrd(a_path, TURNED, rows)
    asking = Asking("", [GivenAnswer(QuestionKind.UNLISTED, "new")], labels_can_grow=True)
    labels, schema, _ = read_segmentation(a_path, SCHEMA, asking=asking)
    added = schema.classes[-1]
    assert schema.classes[:-1] == SCHEMA.classes
    assert (added.value, added.name, added.color) == (4, "cyst", "#336699")
    assert added.terminology.type == KIDNEY
    assert added.segment_id not in {label.segment_id for label in SCHEMA}
    np.testing.assert_array_equal(labels.array, np.where(TRUTH == 2, 4, TRUTH))


def test_segments_in_layers_of_their_own_become_structures_too(a_path):
    layers = np.stack([TURNED == 1, TURNED == 3], axis=-1).astype(np.uint8)
    header = fields({0: ("a", "LV", 1), 1: ("b", "cyst", 1)}) | {"Segment1_Layer": 1}
    write_nrrd(a_path, layers, header)
    asking = Asking("", [GivenAnswer(QuestionKind.UNLISTED, "new")], labels_can_grow=True)
    labels, schema, _ = read_segmentation(a_path, SCHEMA, asking=asking)
    expected = np.select([TRUTH == 3, TRUTH == 2], [3, 4], 0)
    np.testing.assert_array_equal(labels.array, expected)
    assert schema.names[-1] == "cyst"


def test_file_of_nothing_but_foreign_segments_is_refused_where_none_can_be_added(a_path):
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), fields({0: ("a", "spleen", 1)}))
    with pytest.raises(AnnotationError, match="are not structures of the project: spleen"):
        read(a_path)


def test_segment_with_the_identifier_of_a_structure_can_be_another_one(a_path):
    rows = {0: ("a", "RV", 1), 1: ("b", "MYO", 2), 2: ("Segment_3", "cyst", 3)}
    write_nrrd(a_path, TRUTH, fields(rows))
    assert asked(a_path).kind is QuestionKind.BY_IDENTIFIER
    given = [
        GivenAnswer(QuestionKind.BY_IDENTIFIER, "other"),
        GivenAnswer(QuestionKind.UNLISTED, "background"),
    ]
    found = read(a_path, asking=Asking("", given))
    np.testing.assert_array_equal(found, np.where(TRUTH == 3, 0, TRUTH))


def test_project_remembers_what_a_foreign_segment_was(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, rows in (("a", {n: (str(n), NAMES[n], n) for n in NAMES}), ("b", CYST)):
        image = (TRUTH * 50 + rng.normal(0, 5, TRUTH.shape)).astype(np.float32)
        write_volume(tmp_path / f"{name}.nrrd", Volume(image, GRID))
        array = TRUTH if name == "a" else TURNED
        write_nrrd(tmp_path / f"{name}.seg.nrrd", array, fields(rows))
    files = {
        name: [str(tmp_path / f"{name}{end}") for end in (".nrrd", ".seg.nrrd")] for name in "ab"
    }
    root = tmp_path / "P"
    assert main(["create", str(root), "--annotated", *files["a"]]) == 0
    add = ["add", str(root), "--annotated", *files["b"]]
    assert main(add) == 1
    assert "--answer b:unlisted=new" in capsys.readouterr().err
    assert main([*add, "--answer", "unlisted=new"]) == 0
    project = load_project(root)
    assert project.schema.names == ("RV", "MYO", "LV", "cyst")
    assert project.case("b").answer_to(QuestionKind.UNLISTED) == "new"
    kept = masks_of(root / "annotations" / "b.seg.nrrd")
    np.testing.assert_array_equal(kept["cyst"], TURNED == 3)


def test_segments_without_identifier_are_known_by_name(a_path):
    rows = {n: ("", name, n + 1) for n, name in enumerate(("LV", "RV", "MYO"))}
    write_nrrd(a_path, TURNED, fields(rows))
    np.testing.assert_array_equal(read(a_path), TRUTH)
    alone = read_segmentation(a_path, None)[1]
    assert [(label.value, label.name) for label in alone] == [(1, "LV"), (2, "RV"), (3, "MYO")]


def test_a_label_takes_no_identifier_that_another_segment_has(a_path):
    rows = {0: ("Segment_2", "RV", 1), 1: ("", "MYO", 2), 2: ("Segment_2", "LV", 3)}
    write_nrrd(a_path, TRUTH, fields(rows))
    schema = read_segmentation(a_path, None)[1]
    assert schema.names == ("RV", "MYO", "LV")
    assert len({label.segment_id for label in schema}) == 3


def test_gaps_in_the_numbering_lose_nothing(a_path):
    rows = {0: ("Segment_1", "RV", 1), 2: ("Segment_2", "MYO", 2), 17: ("Segment_3", "LV", 3)}
    write_nrrd(a_path, TRUTH, fields(rows))
    labels, _, notices = read_segmentation(a_path, SCHEMA)
    np.testing.assert_array_equal(labels.array, TRUTH)
    assert notices == ()


def test_first_segment_need_not_be_number_0(a_path):
    write_nrrd(a_path, TRUTH, fields({3: ("a", "RV", 1), 4: ("b", "MYO", 2), 9: ("c", "LV", 3)}))
    np.testing.assert_array_equal(read(a_path), TRUTH)


def test_fields_left_over_from_a_deleted_segment_are_none(a_path):
    rows = {0: ("a", "RV", 1), 1: ("b", "MYO", 2), 2: ("c", "LV", 3)}
    write_nrrd(a_path, TRUTH, fields(rows) | {"Segment3_Color": "1 0 0", "Segment3_Extent": "0 1"})
    np.testing.assert_array_equal(read(a_path), TRUTH)


def test_segments_with_the_same_value_and_layer_are_asked_about_with_their_count(a_path):
    rows = {0: ("a", "RV", 1), 1: ("b", "MYO", 2), 2: ("c", "LV", 2)}
    joined = np.where(TRUTH == 3, 2, TRUTH).astype(np.uint8)
    write_nrrd(a_path, joined, fields(rows))
    question = asked(a_path)
    assert (question.kind, question.num_voxels) == (
        QuestionKind.SAME_VOXELS,
        np.count_nonzero(TRUTH > 1),
    )
    assert "'MYO' and 'LV' are the same" in question.message
    assert [choice.value for choice in question.choices] == ["MYO", "LV", "leave"]
    for value, name in ((2, "MYO"), (3, "LV")):
        found = answered(a_path, QuestionKind.SAME_VOXELS, name)
        np.testing.assert_array_equal(found, np.where(joined == 2, value, joined))


def test_which_of_overlapping_segments_wins_is_one_question_with_all_voxels(a_path):
    layers = np.zeros((*TRUTH.shape, 3), np.uint8)
    for layer in range(3):
        layers[layer : layer + 3, 2:6, 2:6, layer] = 1
    header = {}
    for number, name in enumerate(("LV", "RV", "MYO")):
        header |= {f"Segment{number}_Name": name, f"Segment{number}_Layer": str(number)}
    write_nrrd(a_path, layers, header)
    question = asked(a_path)
    assert question.kind is QuestionKind.OVERLAP
    assert "'RV' and 'MYO' overlap in 32 voxels" in question.message
    assert "'RV' and 'LV' overlap in" in question.message
    drawn = {value: layers[..., layer] == 1 for layer, value in enumerate((3, 1, 2))}
    for answer, order in (("later", (1, 2, 3)), ("earlier", (3, 2, 1))):
        expected = np.zeros(TRUTH.shape, np.int16)
        for value in order:
            expected[drawn[value]] = value
        np.testing.assert_array_equal(answered(a_path, question.kind, answer), expected)


def test_segments_with_the_same_voxels_and_the_same_name_are_refused(a_path):
    rows = {0: ("a", "RV", 1), 1: ("b", "LV", 2), 2: ("c", "LV", 2)}
    write_nrrd(a_path, np.where(TRUTH == 3, 2, TRUTH).astype(np.uint8), fields(rows))
    with pytest.raises(AnnotationError, match="'LV' and 'LV' are the same"):
        read(a_path)


def test_two_empty_segments_may_share_a_value(a_path):
    rows = {0: ("a", "RV", 1), 1: ("b", "MYO", 9), 2: ("c", "LV", 9)}
    write_nrrd(a_path, np.where(TRUTH == 1, 1, 0).astype(np.uint8), fields(rows))
    np.testing.assert_array_equal(read(a_path), np.where(TRUTH == 1, 1, 0))


@pytest.mark.parametrize("schema", [SCHEMA, None])
def test_file_that_describes_no_segment_is_refused(a_path, schema):
    write_nrrd(a_path, TURNED, {})
    with pytest.raises(AnnotationError, match="describes no segment") as told:
        read(a_path, schema)
    assert "name its segments" in told.value.remedy
    plain = a_path.rename(a_path.with_name("b.nrrd"))
    np.testing.assert_array_equal(read(plain), TURNED)


def test_segment_without_a_layer_lies_in_the_only_one(a_path):
    rows = {n: ("", name, n + 1) for n, name in enumerate(("LV", "RV", "MYO"))}
    write_nrrd(a_path, TURNED, fields(rows, Layer=""))
    np.testing.assert_array_equal(read(a_path), TRUTH)


def tags(type_, side=None):
    code = f"{type_.scheme}^{type_.value}^{type_.meaning}"
    modifier = f"{side.scheme}^{side.value}^{side.meaning}" if side else "^^"
    category = f"{CATEGORY.scheme}^{CATEGORY.value}^{CATEGORY.meaning}"
    return f"TerminologyEntry:List~{category}~{code}~{modifier}~Other~^^~^^|"


def two_kidneys():
    return LabelSchema(
        (
            LabelClass(1, "kidney L", "#e69f00", Terminology(CATEGORY, KIDNEY, LEFT)),
            LabelClass(2, "kidney R", "#56b4e9", Terminology(CATEGORY, KIDNEY, RIGHT)),
        )
    )


def test_name_of_one_label_with_the_term_of_another_is_refused(a_path):
    header = fields({0: ("a", "kidney L", 1)}, Tags=tags(KIDNEY, RIGHT))
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), header)
    question = asked(a_path, two_kidneys())
    assert question.kind is QuestionKind.NAME_OR_TERM
    assert "called like 'kidney L' and has the terminology of 'kidney R'" in question.message
    for answer, value in (("name", 1), ("term", 2)):
        found = answered(a_path, question.kind, answer, two_kidneys())
        np.testing.assert_array_equal(found, np.where(TRUTH == 1, value, 0))


def test_term_of_another_side_is_asked_about(a_path):
    left_only = LabelSchema(two_kidneys().classes[:1])
    header = fields({0: ("a", "kidney L", 1)}, Tags=tags(KIDNEY, RIGHT))
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), header)
    assert "a terminology of the other side (Right)" in asked(a_path, left_only).message


@pytest.mark.parametrize("region", [Code("SCT", "10200004", "Liver"), None])
def test_a_mass_of_another_organ_is_another_structure(a_path, region):
    mass = Code("SCT", "4147007", "Mass")
    term = Terminology(CATEGORY, mass, None, region)
    labels = LabelSchema((LabelClass(1, "tumour", "#e69f00", term),))
    tag = tags(mass).replace("~Other~^^~", "~Other~SCT^64033007^Kidney~")
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), fields({0: ("a", "spot", 1)}, Tags=tag))
    if region is None:  # the label says nothing of where it lies
        assert read(a_path, labels).any()
    else:
        with pytest.raises(AnnotationError, match="spot"):
            read(a_path, labels)


def test_slicers_default_term_tells_no_structure(a_path):
    tissue = Terminology(CATEGORY, Code("SCT", "85756007", "Tissue"))
    labels = LabelSchema((LabelClass(1, "liver", "#e69f00", tissue),))
    header = fields({0: ("a", "spleen", 1)}, Tags=tags(tissue.type))
    write_nrrd(a_path, (TRUTH == 1).astype(np.uint8), header)
    with pytest.raises(AnnotationError, match="spleen"):
        read(a_path, labels)
    asking = Asking("", [GivenAnswer(QuestionKind.UNLISTED, "new")], labels_can_grow=True)
    assert "spleen" in read_segmentation(a_path, labels, asking=asking)[1].names
    assert read_segmentation(a_path, None)[1].classes[0].terminology is None


def test_the_projects_own_files_keep_their_structures_under_new_names(a_path):
    write_segmentation(a_path, LabelVolume(TRUTH.astype(np.int16), GRID), SCHEMA)
    renamed = LabelSchema(tuple(LabelClass(v, f"new {v}", "#e69f00") for v in NAMES))
    np.testing.assert_array_equal(read(a_path, renamed, asking=None), TRUTH)
    changed = a_path.with_name("changed.seg.nrrd")
    write_segmentation(changed, LabelVolume(TRUTH.astype(np.int16), GRID), SCHEMA)
    np.testing.assert_array_equal(read(changed, renamed, made_from=a_path), TRUTH)
    assert asked(changed, renamed).kind is QuestionKind.BY_IDENTIFIER


def test_segment_that_was_made_anew_in_a_correction_is_not_the_deleted_one(a_path):
    """Slicer gives the identifier of a deleted segment to the next one."""
    write_segmentation(a_path, LabelVolume(TRUTH.astype(np.int16), GRID), SCHEMA)
    rows = {0: ("Segment_1", "RV", 1), 1: ("Segment_2", "fat", 2), 2: ("Segment_3", "LV", 3)}
    changed = write_nrrd(a_path.with_name("changed.seg.nrrd"), TRUTH, fields(rows))
    with pytest.raises(AnnotationError, match="are not structures of the project: fat"):
        read(changed, asking=None, made_from=a_path)


def test_project_keeps_each_structure_where_it_was_drawn(tmp_path, capsys):
    """Two annotators, two orders: what is stored of the second is read without the program."""
    rng = np.random.default_rng(0)
    for name in "ab":
        image = (TRUTH * 50 + rng.normal(0, 5, TRUTH.shape)).astype(np.float32)
        write_volume(tmp_path / f"{name}.nrrd", Volume(image, GRID))
    ids = ("Segment_1", "Segment_2", "Segment_3")
    first = {n: (ids[n], name, n + 1) for n, name in enumerate(("RV", "MYO", "LV"))}
    second = {2 * n: (ids[n], name, n + 1) for n, name in enumerate(("LV", "RV", "MYO"))}
    write_nrrd(tmp_path / "a.seg.nrrd", TRUTH, fields(first))
    write_nrrd(tmp_path / "b.seg.nrrd", TURNED, fields(second))
    pairs = [
        part
        for name in "ab"
        for part in ("--annotated", tmp_path / f"{name}.nrrd", tmp_path / f"{name}.seg.nrrd")
    ]
    assert main(["create", str(tmp_path / "p"), *map(str, pairs)]) == 0, capsys.readouterr().err
    for name in "ab":
        found = masks_of(tmp_path / "p" / "annotations" / f"{name}.seg.nrrd")
        assert set(found) == {"RV", "MYO", "LV"}
        for value, structure in NAMES.items():
            np.testing.assert_array_equal(found[structure], value == TRUTH)
