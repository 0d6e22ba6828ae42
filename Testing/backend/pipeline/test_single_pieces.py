"""Predictions keep a single piece of what every annotated volume shows in one piece."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from learning_doubles import CPU, ThresholdNetwork, grid, make_model
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.doubt import reason_in_patterns
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.single_pieces import SinglePieces, index_of_kept
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.prediction.keep_single_pieces import keep_single_pieces
from PseudoLabelCLLib.pipeline.prediction.segment_volume import segment_slices
from PseudoLabelCLLib.pipeline.rounds.drawn_pieces import single_pieces
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project

SIZE = (40, 36, 6)
SCHEMA = LabelSchema.from_values((1, 2))


def drawn(*, split=0, crumb=False):
    """Two structures side by side; the second one, or both, in two pieces."""
    array = np.zeros(SIZE[::-1], np.uint8)
    array[1:5, 8:24, 6:14], array[1:5, 8:24, 14:20] = 1, 2
    if split:
        array[1:5, 28:33, 30:36] = split
    if crumb:
        array[0, 0, 0] = 1
    return array


def write(path, array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.5, 4.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def a_project(tmp_path):
    def make(*annotations, profile=Profile.QUICK):
        root = tmp_path / "project"
        project = Project("p", SCHEMA, config_for(profile))
        create_project(root, project)
        for number, labels in enumerate(annotations):
            noise = np.random.default_rng(number).normal(100, 20, labels.shape).astype(np.float32)
            image = write(tmp_path / f"{number}.nrrd", noise + 200 * (labels > 0))
            label = write(tmp_path / f"{number}-drawn.nrrd", labels)
            project, _ = add_case(root, project, f"c{number}", CaseRole.ANNOTATED, image, label)
        return root, project

    return make


def pieces_of(root, project):
    found = single_pieces(root, project)
    return found.structures, found.together


def test_every_annotated_volume_must_show_one_piece(a_project):
    root, project = a_project(drawn(), drawn(split=2))
    assert pieces_of(root, project) == ((1,), False)


def test_structures_that_touch_are_one_piece_together(a_project):
    root, project = a_project(drawn())
    assert pieces_of(root, project) == ((1, 2), True)


def test_a_crumb_of_the_brush_is_no_second_piece(a_project):
    root, project = a_project(drawn(crumb=True))
    assert pieces_of(root, project) == ((1, 2), True)


def test_structure_that_nobody_drew_keeps_every_piece(a_project):
    labels = drawn()
    labels[labels == 2] = 0
    root, project = a_project(labels)
    assert 2 not in single_pieces(root, project).structures


def test_slices_drawn_here_and_there_tell_nothing(a_project):
    root, project = a_project(drawn())
    case = replace(project.case("c0"), drawn_slices=(1, 3))
    assert single_pieces(root, project.with_case(case)) == SinglePieces()


@pytest.mark.parametrize("profile", [Profile.PAPER, Profile.LEGACY])
def test_published_recipes_keep_every_piece(a_project, profile):
    root, project = a_project(drawn(), profile=profile)
    assert single_pieces(root, project) == SinglePieces()


def test_what_a_person_chose_goes_before_what_was_drawn(a_project, capsys):
    root, _ = a_project(drawn(split=2))
    assert main(["pieces", str(root), "label 1=several", "label 2=one"]) == 0
    assert pieces_of(root, load_project(root)) == ((2,), False)
    assert "every piece is kept" in capsys.readouterr().out
    assert main(["pieces", str(root), "label 1=as-drawn", "label 2=as-drawn"]) == 0
    assert pieces_of(root, load_project(root)) == ((1,), False)


def test_pieces_of_an_unknown_structure_are_refused_with_those_there_are(a_project, capsys):
    root, _ = a_project(drawn())
    assert main(["pieces", str(root), "kidney=one"]) != 0
    assert "structures: label 1, label 2" in capsys.readouterr().err


def segmented(array, single, steepness=20.0):
    schema = LabelSchema.from_values((7,))
    model = make_model(
        ThresholdNetwork(schema.num_classes, steepness).eval(),
        schema=schema,
        pseudo_label=PseudoLabelConfig(2, max_rotation_deg=0.0, max_scale_fraction=0.0),
        mirror_copies=True,
    )
    model = replace(model, card=replace(model.card, single_pieces=single))
    volume = Volume(array.astype(np.float32), grid(SIZE))
    where = slice_grid(volume, model.card.preprocess)
    images = where.images_to_network(where.slices_of(volume.array))[:, None]
    return segment_slices(model, images, where, volume.geometry, CPU)


def test_smaller_piece_is_dropped_and_a_rival_is_a_reason_to_look():
    array = drawn(split=1) > 0
    both = segmented(array, SinglePieces())
    one = segmented(array, SinglePieces((7,)))
    assert both.labels.array[2, 30, 32] == 7
    assert one.labels.array[2, 30, 32] == 0
    assert one.labels.array[2, 15, 10] == 7
    assert one.doubt == both.doubt  # 120 of 896 voxels are no rival

    array[1:5, 26:36, 26:40] = True
    rival = segmented(array, SinglePieces((7,))).doubt
    assert rival.doubt == pytest.approx(560 / 896, abs=0.05)
    assert "another one had" in rival.reason
    assert str(reason_in_patterns(rival.reason)) == rival.reason
    assert reason_in_patterns(rival.reason).values["structure"] == "'label 7'"


def test_size_of_what_was_drawn_is_the_median_over_the_annotated_volumes(a_project):
    larger = drawn()
    larger[0:6, 8:24, 6:14] = 1
    found = single_pieces(*a_project(drawn(), larger))
    assert found.structures == (1, 2)
    voxel_mm3 = 1.5 * 1.5 * 4
    assert found.drawn_mm3 == pytest.approx((5 * 16 * 8 * voxel_mm3, 4 * 16 * 6 * voxel_mm3))


@pytest.mark.parametrize(
    ("sizes", "drawn_voxels", "kept"),
    [
        ([17322, 12199, 106], 12542, 1),  # a rim of the body beside the organ
        ([12199, 17322], 0, 1),
        ([500, 900], 1200, 1),
        ([500, 900], 400, 0),
        ([900, 200], 190, 0),  # far smaller than the largest: no rival
        ([300, 300], 300, 0),
    ],
)
def test_the_largest_piece_is_kept_or_of_rivals_the_one_of_the_drawn_size(
    sizes, drawn_voxels, kept
):
    assert index_of_kept(sizes, drawn_voxels) == kept


def test_a_false_piece_that_is_larger_than_the_structure_does_not_take_its_place():
    classes = np.zeros((6, 40, 40), np.uint8)
    classes[1:5, 10:20, 10:20] = 1
    classes[1:5, 30:38, 2:38] = 1  # a rim, 2.9 times as large
    before = classes.copy()
    single = SinglePieces((1,), drawn_mm3=(2.0 * 420,))
    share, told = keep_single_pieces(classes, SCHEMA, single, 2.0)
    np.testing.assert_array_equal(classes[:, :25], before[:, :25])
    assert not classes[:, 25:].any()
    assert (share, told) == (pytest.approx(2.88), "'label 1'")


def test_structure_of_a_size_nobody_drew_keeps_its_largest_piece(a_project):
    root, _ = a_project(drawn(split=2))
    assert main(["pieces", str(root), "label 2=one"]) == 0
    found = single_pieces(root, load_project(root))
    assert found.structures == (1, 2)
    assert found.drawn_size_mm3(1) > 0
    assert found.drawn_size_mm3(2) == 0


def test_what_is_kept_is_said_by_name():
    told = SinglePieces((2,), together=True).sentence(SCHEMA)
    assert "all structures together, 'label 2'" in told
    assert SinglePieces().sentence(SCHEMA) is None


def test_structure_that_lies_apart_from_the_others_is_kept_whole():
    """As a spleen that touches the liver in the annotated patient and in this one does not."""
    classes = np.zeros((6, 40, 40), np.uint8)
    classes[1:5, 2:30, 2:20] = 1
    classes[2, 30, 10:14] = 2  # a few false voxels at the large one
    classes[1:5, 10:20, 28:34] = 2
    single = SinglePieces((1, 2), together=True)
    share, told = keep_single_pieces(classes, SCHEMA, single, 1.0)
    assert (classes[1:5, 10:20, 28:34] == 2).all()
    assert classes[2, 30, 12] == 0
    assert share == pytest.approx(4 / 240)
    assert told == "'label 2'"


def test_false_piece_far_away_does_not_take_the_place_of_the_one_at_the_others():
    classes = np.zeros((6, 40, 40), np.uint8)
    classes[1:5, 4:20, 4:16], classes[1:5, 8:14, 16:22] = 1, 2
    classes[1:5, 28:36, 28:37] = 2  # twice as large
    share, told = keep_single_pieces(classes, SCHEMA, SinglePieces((1, 2), together=True), 1.0)
    assert (classes[1:5, 8:14, 16:22] == 2).all()
    assert not classes[:, 25:].any()
    assert share == pytest.approx(4 * 72 / (4 * (192 + 36)))
    assert told == "all structures together"
