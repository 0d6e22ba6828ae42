"""Structures left out of a verdict, as a round learns them: outside the others is none of those."""

import hashlib
import json
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import accept, correct
from learning_doubles import Listener, grid
from small_projects import with_saved_rounds

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.training.sampling import MERGED_CLASS, SlicePool
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.rounds import round_data
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, load_round_data
from PseudoLabelCLLib.pipeline.slices.case_slices import (
    ClassCache,
    TruthPart,
    left_out_of_parts,
    load_case_slices,
    network_classes,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SCHEMA = LabelSchema.from_values((1, 4, 7))
NUM_SLICES, ROWS, COLUMNS = 4, 26, 28
LEFT_HANDED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, -1.0)
GRID = grid((COLUMNS, ROWS, NUM_SLICES), (1.0, 1.0, 5.0), LEFT_HANDED, (5.0, -7.0, 3.0))
# the window is wider than the slices: what lies around them is no part of the volume
WINDOW = PreprocessConfig(None, 1.0, (32, 32))
AROUND_ROWS, AROUND_COLUMNS = (32 - ROWS) // 2, (32 - COLUMNS) // 2
INSIDE = (
    slice(None),
    slice(AROUND_ROWS, AROUND_ROWS + ROWS),
    slice(AROUND_COLUMNS, AROUND_COLUMNS + COLUMNS),
)
IMAGE = np.random.default_rng(0).random(GRID.array_shape).astype(np.float32)


def drawn(seed=0, empty=()):
    """Random rectangles of every label in every slice, but for the empty ones."""
    rng = np.random.default_rng(seed)
    array = np.zeros(GRID.array_shape, np.int16)
    for number in range(NUM_SLICES):
        for value in SCHEMA.values:
            row, column = rng.integers(0, 18, 2)
            array[number, row : row + 8, column : column + 8] = value
    array[list(empty)] = 0
    return array


def slow_classes(array, left_out=()):
    """Class indices voxel by voxel: merged where not of a structure that a person accepted."""
    classes = np.zeros((NUM_SLICES, 32, 32), np.uint8)
    index = {value: n for n, value in enumerate(SCHEMA.values, start=1)}
    for k, j, i in np.ndindex(array.shape):
        value = int(array[k, j, i])
        known = value in index and value not in left_out
        unknown = MERGED_CLASS if left_out else 0
        classes[k, AROUND_ROWS + j, AROUND_COLUMNS + i] = index[value] if known else unknown
    return classes


def on_the_network(array, left_out=()):
    volume = Volume(IMAGE, GRID)
    return network_classes(LabelVolume(array, GRID), slice_grid(volume, WINDOW), SCHEMA, left_out)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), left_out=st.sets(st.sampled_from(SCHEMA.values), max_size=2))
def test_class_maps_equal_a_slow_loop(seed, left_out):
    left_out = tuple(sorted(left_out))
    found = on_the_network(drawn(seed), left_out)
    np.testing.assert_array_equal(found, slow_classes(drawn(seed), left_out))


def test_what_lies_around_the_volume_is_background():
    around = np.ones((NUM_SLICES, 32, 32), dtype=bool)
    around[INSIDE] = False
    assert around.any()
    assert not on_the_network(drawn(), (4,))[around].any()
    assert on_the_network(drawn(), (4,))[INSIDE].all()


def test_what_a_file_has_of_a_rejected_structure_is_not_read():
    without = np.where(drawn() == 4, 0, drawn()).astype(np.int16)
    np.testing.assert_array_equal(on_the_network(drawn(), (4,)), on_the_network(without, (4,)))


def test_whole_slices_replace_what_was_left_out_of_them_and_single_voxels_add_to_it(tmp_path):
    file = tmp_path / "any.seg.nrrd"
    parts = [
        TruthPart(file, None, (4,)),
        TruthPart(file, (1, 2), ()),
        TruthPart(file, (2, 3), (7,), mask=tmp_path / "mask.seg.nrrd"),
    ]
    where = slice_grid(Volume(IMAGE, GRID), WINDOW)
    table = left_out_of_parts(parts, SCHEMA, where)
    assert table.tolist() == [
        [False, True, False], [False, False, False], [False, False, True], [False, True, True],
    ]  # fmt: skip


# --- a round ---

Service = namedtuple("Service", "root project")


@pytest.fixture
def a_service(tmp_path):
    """Round 0 in review: t is annotated, a and b have proposals, empty in slice 0."""
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nrrd", GRID) for name in "ab"]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nrrd", GRID, "annotations/t.seg.nrrd"))
    root = tmp_path / "project"
    rounds = (Round(0, RoundState.IN_REVIEW),)
    project = Project("p", SCHEMA, config_for(Profile.QUICK), tuple(cases), rounds)
    create_project(root, project)
    layout = ProjectLayout(root)
    layout.preprocess_plan.parent.mkdir()
    for case in cases:
        write_volume(layout.resolve(case.image), Volume(IMAGE, GRID))
    put(layout.annotation("t"), drawn(9))
    for name in "ab":
        put(layout.proposal(0, name), proposed())
    return Service(root, project)


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GRID), SCHEMA)
    return path


def proposed():
    return drawn(1, empty=(0,))


def changed(*slices):
    """The proposal with other rectangles in these slices."""
    return np.where(np.isin(np.arange(NUM_SLICES), slices)[:, None, None], drawn(2), proposed())


def slices_of_the_next_round(root, project, monkeypatch):
    """Load a round; return the cases of its human truth and of its pseudo-labels, as loaded."""
    pools = []

    class SpiedPool(SlicePool):
        def __init__(self, cases, num_classes, patches=None):
            super().__init__(cases, num_classes, patches)
            pools.append(cases)

    monkeypatch.setattr(round_data, "SlicePool", SpiedPool)
    inputs = RoundInputs(root, project, plan_next_round(project), WINDOW, project.config.training)
    data = load_round_data(inputs, Listener())
    return data, *pools


def taught(cases):
    """Slices that take part, and their classes."""
    return [(case.numbers.tolist(), np.array(case.classes)) for case in cases]


def test_accepted_structures_are_truth_and_all_else_is_none_of_them(a_service, monkeypatch):
    root, project = a_service
    project = accept(root, accept(root, project, "a", left_out=(4, 7)), "b")

    data, truth, pseudo = slices_of_the_next_round(root, project, monkeypatch)

    by_numbers = taught(truth)
    # newest last in the plan, first when loaded: b, a, t
    # slice 0 of a shows nothing: there, too, it is known that the accepted structure is not
    assert [numbers for numbers, _ in by_numbers] == [[0, 1, 2, 3]] * 3
    np.testing.assert_array_equal(by_numbers[0][1], slow_classes(proposed()))
    np.testing.assert_array_equal(by_numbers[1][1], slow_classes(proposed(), (4, 7)))
    np.testing.assert_array_equal(by_numbers[2][1], slow_classes(drawn(9)))
    assert list(pseudo) == []
    assert data.has_left_out
    assert not data.has_ignored
    assert [one.left_out.tolist()[0] for one in truth] == [
        [False, False, False], [False, True, True], [False, False, False],
    ]  # fmt: skip


def test_nothing_is_ignored_where_nothing_is_left_out(a_service, monkeypatch):
    root, project = a_service
    data, _, pseudo = slices_of_the_next_round(root, accept(root, project, "a"), monkeypatch)
    assert len(pseudo) == 1
    assert not data.has_ignored
    assert not data.has_left_out


def test_slices_beside_a_correction_believe_only_what_was_not_rejected(
    a_service, monkeypatch, tmp_path
):
    root, project = a_service
    file = put(tmp_path / "drawn.seg.nrrd", changed(2))
    project = correct(root, project, "b", file, left_out=(4,))

    _, truth, pseudo = slices_of_the_next_round(root, project, monkeypatch)

    numbers, classes = taught(truth)[0]
    assert numbers == [2]
    np.testing.assert_array_equal(classes, slow_classes(changed(2), (4,)))
    (whole, whole_classes), (beside, beside_classes) = taught(pseudo)
    assert (whole, beside) == ([0, 1, 2, 3], [0, 1, 3])
    np.testing.assert_array_equal(whole_classes, slow_classes(proposed()))
    np.testing.assert_array_equal(beside_classes, slow_classes(proposed(), (4,)))
    assert pseudo[1].left_out.tolist() == [[False, True, False]] * NUM_SLICES


def test_later_verdict_counts_slice_by_slice(a_service, monkeypatch, tmp_path):
    root, project = a_service
    project = accept(root, project, "a", left_out=(4,))
    rounds = Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW)
    project = with_saved_rounds(root, project, *rounds)
    for name in "ab":
        put(ProjectLayout(root).proposal(1, name), proposed())
    project = correct(root, project, "a", put(tmp_path / "drawn.seg.nrrd", changed(0, 2)))

    _, truth, pseudo = slices_of_the_next_round(root, project, monkeypatch)

    (newer, newer_classes), (older, older_classes), _ = taught(truth)
    assert (newer, older) == ([0, 2], [1, 3])
    np.testing.assert_array_equal(newer_classes, slow_classes(changed(0, 2)))
    np.testing.assert_array_equal(older_classes, slow_classes(proposed(), (4,)))
    assert len(pseudo) == 1  # b alone: every slice of a has truth


def test_round_without_any_known_structure_is_refused(a_service, tmp_path):
    root, project = a_service
    project = accept(root, project, "a", left_out=(4,))
    alone = Project(
        "p", SCHEMA, project.config, (project.case("a"),), project.rounds, project.reviews
    )
    put(ProjectLayout(root).reviewed_segmentation(0, "a"), np.where(drawn() > 0, 4, 0))
    inputs = RoundInputs(root, alone, plan_next_round(alone), WINDOW, alone.config.training)
    with pytest.raises(TrainingError, match="No slice of the human segmentations shows"):
        load_round_data(inputs, Listener())


# --- the files ---


def class_files(root):
    return sorted(path.name for path in ProjectLayout(root).preprocessed("a").glob("classes-*.npy"))


def test_what_is_left_out_has_class_files_of_its_own(a_service):
    root, project = a_service
    file = ProjectLayout(root).proposal(0, "a")
    slices = load_case_slices(root, project.case("a"), WINDOW, ())
    loaded = {
        left_out: ClassCache(root, SCHEMA).load(slices, file, left_out)
        for left_out in ((), (4,), (4, 7))
    }
    assert len(class_files(root)) == 3
    for left_out, classes in loaded.items():
        np.testing.assert_array_equal(classes, slow_classes(proposed(), left_out))
        again = ClassCache(root, SCHEMA).load(slices, file, left_out)
        np.testing.assert_array_equal(again, classes)
    assert len(class_files(root)) == 3


def test_class_file_without_anything_left_out_keeps_its_name(a_service):
    root, project = a_service
    file = ProjectLayout(root).proposal(0, "a")
    slices = load_case_slices(root, project.case("a"), WINDOW, ())
    ClassCache(root, SCHEMA).load(slices, file)
    made_of = [file_fingerprint(file), to_json(SCHEMA), to_json(slices.grid)]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    assert class_files(root) == [f"classes-{key}.npy"]
