"""Labels of annotated patients, carried over to another one where registration proves itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from judging import accept, correct
from learning_doubles import CPU, Listener, ThresholdNetwork, grid, make_model
from small_projects import SIZE as SMALL_SIZE
from small_projects import make_project, put_in_review

from PseudoLabelCLLib.curation.cases.add_cases import add_case
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.doubt import Doubt, one_structure, reason_in_patterns
from PseudoLabelCLLib.domain.method_config import AnatomyPriorConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.anatomy import atlases as atlases_module
from PseudoLabelCLLib.pipeline.anatomy.atlases import ProjectAtlases, whole_truth
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    AnatomyAgreement,
    CarriedAnatomy,
    at_slices,
    carry_anatomy,
    fused,
    make_atlas,
    most_filling,
)
from PseudoLabelCLLib.pipeline.anatomy.coarse_grid import MOST_VOXELS, coarser
from PseudoLabelCLLib.pipeline.prediction.rank_for_review import with_anatomy
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    AnatomyOfCase,
    Refinement,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.rounds.pseudo_label_cases import pseudo_label_cases
from PseudoLabelCLLib.pipeline.rounds.round_anatomy import anatomy_of_round
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SCHEMA = LabelSchema.from_values((3, 7))
STRAIGHT = grid((30, 34, 26), (2.0, 2.0, 2.0), origin_mm=(-29.0, -33.0, -25.0))
# Turned by 30 degrees about z, left-handed, of other spacing; it covers the same patient.
TURNED = (0.866025, 0.5, 0.0, -0.5, 0.866025, 0.0, 0.0, 0.0, -1.0)


def oblique():
    geometry = grid((40, 42, 20), (1.9, 1.8, 3.0), TURNED)
    middle = geometry.index_to_world((np.array(geometry.size) - 1) / 2)
    return replace(geometry, origin_mm=tuple((-middle).tolist()))


def classes_on(geometry, *, shift=(0.0, 0.0, 0.0), growth=1.0):
    """A large ellipsoid and a small one at its side, where they lie in the patient."""
    k, j, i = np.indices(geometry.array_shape)
    points = geometry.index_to_world(np.stack((i, j, k), axis=-1)) - np.asarray(shift)
    large = (((points - (-4, 0, 0)) / (np.array((13, 17, 13)) * growth)) ** 2).sum(-1) < 1
    small = (((points - (14, 6, 3)) / (np.array((8, 9, 9)) * growth)) ** 2).sum(-1) < 1
    return np.where(small, 2, np.where(large, 1, 0)).astype(np.uint8)


def image_of_classes(classes, geometry, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, classes.shape)
    return Volume((np.array((20, 120, 220))[classes] + noise).astype(np.float32), geometry)


def patient(geometry=STRAIGHT, seed=0, **anatomy):
    classes = classes_on(geometry, **anatomy)
    return image_of_classes(classes, geometry, seed), classes


def atlas_of(volume, classes, known=(True, True)):
    return make_atlas(volume, classes, 2, known)


def noise(geometry=STRAIGHT, seed=9):
    array = np.random.default_rng(seed).normal(100, 30, geometry.array_shape)
    return Volume(array.astype(np.float32), geometry)


def dice(ours, theirs, index):
    one, other = ours == index, theirs == index
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("of_case", [STRAIGHT, oblique()])
@pytest.mark.parametrize("of_atlas", [STRAIGHT, oblique()])
def test_labels_land_where_the_structures_are_whatever_the_grids(of_case, of_atlas):
    volume, truth = patient(of_case, seed=1, shift=(4.0, -3.0, 2.0), growth=1.1)
    carried = carry_anatomy(volume, [atlas_of(*patient(of_atlas))], 1)
    found = most_filling(carried.shares, axis=0)
    assert min(dice(found, truth, index) for index in (1, 2)) > 0.9
    assert carried.trust == (1.0, 1.0)


def test_what_does_not_align_is_not_trusted():
    carried = carry_anatomy(noise(), [atlas_of(*patient())], 1)
    assert carried.trust == (0.0, 0.0)
    assert not carried.says_something


def test_same_images_give_the_same_labels_to_the_bit():
    volume, _ = patient(seed=1, shift=(3.0, 0.0, 0.0))
    first, second = (carry_anatomy(volume, [atlas_of(*patient())], 1) for _ in range(2))
    np.testing.assert_array_equal(first.shares, second.shares)
    assert first.trust == second.trust


def test_structure_left_out_of_a_verdict_is_no_atlas_and_the_other_one_is():
    volume, _ = patient(seed=1, shift=(3.0, 0.0, 0.0))
    carried = carry_anatomy(volume, [atlas_of(*patient(), known=(True, False))], 1)
    assert carried.trust == (1.0, 0.0)


def test_structure_that_no_atlas_shows_is_not_trusted():
    image, classes = patient()
    carried = carry_anatomy(image, [atlas_of(image, np.where(classes == 2, 0, classes))], 1)
    assert carried.trust == (1.0, 0.0)


def test_most_similar_patients_are_taken():
    volume, truth = patient(seed=1, growth=1.05)
    unlike = atlas_of(noise(), np.roll(truth, 9, axis=1))
    alike = atlas_of(*patient())
    carried = carry_anatomy(volume, [unlike, alike], 1)
    assert carried.trust == (1.0, 1.0)
    # with both, the one that does not align does not count
    both = carry_anatomy(volume, [unlike, alike], 2)
    seen = carried.covered > 0.5
    assert np.abs(both.shares - carried.shares)[seen].mean() < 1e-3


def test_few_slices_are_no_volume_to_register():
    geometry = grid((30, 34, 3), (2.0, 2.0, 8.0), origin_mm=(-29.0, -33.0, -8.0))
    volume, classes = patient(geometry)
    assert carry_anatomy(volume, [atlas_of(*patient())], 1) is None
    assert carry_anatomy(patient()[0], [atlas_of(volume, classes)], 1) is None


@pytest.mark.parametrize(
    ("size", "spacing", "kept"),
    [
        ((200, 180, 120), (0.6, 0.6, 0.6), ()),
        ((400, 300, 12), (0.8, 0.8, 8.0), (2,)),
        ((30, 34, 26), (2.0, 2.0, 2.0), (0, 1, 2)),
    ],
)
def test_large_volumes_are_averaged_down_and_fill_the_same_space(size, spacing, kept):
    geometry = grid(size, spacing, TURNED, (7.0, -5.0, 3.0))
    volume = Volume(np.ones(geometry.array_shape, np.float32), geometry)
    coarse = coarser(volume).geometry
    assert np.prod(coarse.size) <= MOST_VOXELS
    assert np.prod(coarse.size) > MOST_VOXELS / 2 or len(kept) == 3
    np.testing.assert_allclose(coarse.corners_mm(), geometry.corners_mm(), atol=1e-6)
    assert [coarse.size[axis] for axis in kept] == [size[axis] for axis in kept]


def test_labels_of_a_coarser_grid_lie_over_the_volumes_own_slices():
    geometry = grid((130, 120, 60), (0.5, 0.5, 1.0), TURNED)
    middle = geometry.index_to_world((np.array(geometry.size) - 1) / 2)
    geometry = replace(geometry, origin_mm=tuple((-middle).tolist()))
    volume, truth = patient(geometry, seed=2)
    where = slice_grid(volume, make_model(ThresholdNetwork(3), schema=SCHEMA).card.preprocess)
    carried = carry_anatomy(volume, [atlas_of(*patient())], 1)
    assert carried.shares[0].size < truth.size / 2
    shares, covered = at_slices(carried, where, slice(10, 50))
    found = most_filling(shares, axis=1)
    expected = where.slices_of(truth)[10:50]
    assert found.shape == covered[:, 0].shape == expected.shape
    assert min(dice(found, expected, index) for index in (1, 2)) > 0.9


def test_fused_probabilities_are_probabilities_and_weight_nothing_keeps_the_network():
    rng = np.random.default_rng(0)
    network = rng.dirichlet((1, 1, 1), (2, 4, 5)).transpose(0, 3, 1, 2).astype(np.float32)
    shares = rng.dirichlet((1, 1, 1), (2, 4, 5)).transpose(0, 3, 1, 2)[:, 1:].astype(np.float32)
    seen = np.ones_like(shares)

    def fused_with(weights):
        return fused(torch.tensor(network), shares, seen, weights).numpy()

    both = fused_with((0.7, 0.0))
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-6)
    assert both.min() >= 0
    np.testing.assert_allclose(fused_with((0.0, 0.0)), network, atol=1e-6)
    np.testing.assert_allclose(fused_with((1.0, 1.0))[:, 1:], shares, atol=1e-6)
    half = fused_with((0.5, 0.5))
    np.testing.assert_allclose(half[:, 1:], (network[:, 1:] + shares) / 2, atol=1e-6)


def test_where_an_atlas_has_no_voxels_the_network_stands_alone():
    wide = grid((30, 60, 26), (2.0, 2.0, 2.0), origin_mm=(-29.0, -59.0, -25.0))
    volume, _ = patient(wide, seed=1, shift=(0.0, -1.0, 0.0))
    carried = carry_anatomy(volume, [atlas_of(*patient())], 1)
    assert carried.covered[:, 12, [2, -3], 15].max() < 0.1
    assert carried.covered[:, 12, 30, 15].min() > 0.9
    network = np.zeros((1, 3, 1, 1), np.float32) + np.array((0.1, 0.9, 0.0))[:, None, None]
    nothing = np.zeros((1, 2, 1, 1), np.float32)
    both = fused(torch.tensor(network), nothing, nothing, (0.7, 0.7))
    np.testing.assert_allclose(both, network, atol=1e-6)


@pytest.mark.parametrize(
    ("trust", "agreement", "weight"),
    [(1.0, 0.5, 0.7), (1.0, 0.3, 0.0), (1.0, 0.4, 0.35), (0.5, 0.9, 0.35), (0.0, 1.0, 0.0)],
)
def test_weight_is_the_product_of_trust_and_agreement(trust, agreement, weight):
    nothing = np.zeros((1, 1, 1, 1), np.float32)
    slices = np.zeros(1, np.int64)
    carried = CarriedAnatomy(nothing, nothing, (trust,))
    agreed = AnatomyAgreement((agreement,), slices, slices)
    assert agreed.weights(carried, 0.7) == pytest.approx((weight,))


def test_anatomy_is_off_in_every_profile():
    for profile in Profile:
        assert not config_for(profile).pseudo_label.anatomy_prior.enabled


# ------------------------------------------------------------------ in proposals


def a_model(schema=SCHEMA):
    """Sees structure by brightness alone: 0.5 and more is the first, 0.8 and more the second."""
    return make_model(
        ThresholdNetwork(schema.num_classes).eval(),
        schema=schema,
        pseudo_label=PseudoLabelConfig(2, max_rotation_deg=0.0, max_scale_fraction=0.0),
    )


def proposed(volume, carried=None, weight=0.7):
    model = a_model()
    where = slice_grid(volume, model.card.preprocess)
    scaled = (volume.array / 200).astype(np.float32)
    images = where.images_to_network(where.slices_of(scaled))[:, None]
    anatomy = None if carried is None else AnatomyOfCase(carried, weight)
    return segment_slices(model, images, where, volume.geometry, CPU, Refinement(anatomy=anatomy))


FALSE_PIECE = np.s_[1:7, 1:7, 22:28]


def with_a_false_piece(volume):
    """As bright as the first structure, where no patient has any."""
    array = volume.array.copy()
    array[FALSE_PIECE] = 135
    return replace(volume, array=array)


def as_carried(classes, trust=(1.0, 1.0)):
    """What registration would say if it put these classes onto the case."""
    shares = np.stack([(classes == 1 + index).astype(np.float32) for index in range(2)])
    return CarriedAnatomy(shares, np.ones_like(shares), trust)


def test_what_no_annotated_patient_shows_leaves_the_proposal():
    volume, truth = patient(seed=1)
    volume = with_a_false_piece(volume)
    alone, both = proposed(volume), proposed(volume, as_carried(truth))
    assert (alone.labels.array[FALSE_PIECE] == 3).mean() > 0.8
    assert not (both.labels.array[FALSE_PIECE] == 3).any()
    assert both.anatomy_weights == pytest.approx((0.7, 0.7))
    assert dice(both.labels.array, np.array((0, 3, 7))[truth], 7) > 0.9


def test_anatomy_that_is_not_trusted_changes_no_voxel_of_a_proposal():
    volume, _ = patient(seed=1)
    carried = carry_anatomy(volume, [atlas_of(noise(), classes_on(STRAIGHT))], 1)
    alone, both = proposed(volume), proposed(volume, carried)
    assert carried.trust == (0.0, 0.0)
    np.testing.assert_array_equal(alone.labels.array, both.labels.array)
    np.testing.assert_array_equal(alone.uncertainty.array, both.uncertainty.array)
    assert alone.doubt == both.doubt


def test_disagreement_of_anatomy_and_network_is_a_reason_to_look():
    volume, truth = patient(seed=1)
    carried = as_carried(truth)
    array = volume.array.copy()
    array[volume.array > 170] = 120  # the network takes the small one for the large one
    told = proposed(replace(volume, array=array), carried).doubt
    assert told.doubt == pytest.approx(1.0, abs=0.01)
    assert "Anatomy and network disagree here" in told.reason
    assert "on 'label 7'" in told.reason
    assert max(told.doubt_per_slice) > 0.15
    assert told.agreement == pytest.approx(1.0, abs=0.01)  # the copies agree


@pytest.mark.parametrize("is_fused", [False, True])
def test_what_anatomy_says_of_a_slice_counts_once(is_fused):
    carried = as_carried(patient(seed=1)[1])
    doubt = Doubt(0.1, 0.9, (0.1, 0.3, 0.0), "Copies differ.")
    differing, filled = np.array([0, 5, 10]), np.array([20, 10, 10])
    agreement = AnatomyAgreement((0.9, 0.4), differing, filled)
    told = with_anatomy(doubt, carried, agreement, SCHEMA, ("a", "b", "c"), is_fused=is_fused)
    assert told.doubt == pytest.approx(0.6)
    assert told.doubt_per_slice == ((0.1, 0.3, 0.0) if is_fused else (0.1, 0.3, 0.5))


@pytest.mark.parametrize("missing", ["", " Nothing was found of 'b', 'c'."])
def test_reason_names_the_slice_to_look_at_first_in_any_language(missing):
    reason = f"Copies agree to 90%, least on 'a' (80%). Look at the slice k = 3 first.{missing}"
    told = reason_in_patterns(reason)
    assert str(told) == reason
    assert (told.values["structure"], told.values["slice"]) == ("a", "k = 3")


def test_reason_of_a_disagreement_is_recognised_in_a_stored_doubt():
    copies = "Copies agree to 90%, least on 'a' (80%) and in the slice k = 3."
    doubt = Doubt(0.1, 0.9, (0.1,), copies).with_disagreement(0.4, one_structure("a b"), "k = 4")
    assert doubt.doubt == pytest.approx(0.6)
    told = reason_in_patterns(doubt.reason)
    assert str(told) == doubt.reason
    assert (told.values["structure"], told.values["slice"]) == ("'a b'", "k = 4")
    assert told.values["reason"].values["least"] == "80%"
    both = doubt.with_second_piece(0.7, one_structure("a b"))
    told = reason_in_patterns(both.reason)
    assert told.values["share"] == "70%"
    assert told.values["reason"].values["slice"] == "k = 4"


def test_smaller_disagreement_than_that_of_the_copies_changes_nothing():
    doubt = Doubt(0.7, 0.3, (0.1,), "Copies differ.")
    assert doubt.with_disagreement(0.4, one_structure("a"), "k = 4") == doubt


# ------------------------------------------------------------------ in a project


@pytest.fixture
def a_project(tmp_path):
    """One annotated patient, one validation patient, two others; anatomy takes part."""
    settings = config_for(Profile.QUICK)
    pseudo = replace(settings.pseudo_label, anatomy_prior=AnatomyPriorConfig(enabled=True))
    root = tmp_path / "project"
    project = Project("p", SCHEMA, replace(settings, pseudo_label=pseudo))
    create_project(root, project)
    for number, (name, role) in enumerate(
        (
            ("drawn", CaseRole.ANNOTATED), ("held out", CaseRole.VALIDATION),
            ("one", CaseRole.UNLABELLED), ("other", CaseRole.UNLABELLED),
        )
    ):  # fmt: skip
        volume, classes = patient(seed=number, shift=(2.0 * number, 0.0, 0.0))
        if role is CaseRole.UNLABELLED:
            volume = with_a_false_piece(volume)
        image, label = tmp_path / f"{name}.nrrd", tmp_path / f"{name}.seg.nrrd"
        write_volume(image, volume)
        values = np.array((0, 3, 7), np.int16)[classes]
        write_segmentation(label, LabelVolume(values, volume.geometry), SCHEMA)
        annotation = str(label) if role.needs_annotation else None
        project, _ = add_case(root, project, NewCase(name, role, str(image), annotation=annotation))
    return root, project


def inputs_of(root, project):
    plan, settings = plan_next_round(project), a_model().card.preprocess
    return RoundInputs(root, project, plan, settings, project.config.training)


def propose(root, project, listener):
    layout = ProjectLayout(root)
    layout.preprocess_plan.parent.mkdir(exist_ok=True)
    for folder in (layout.proposal(0, "one").parent, layout.uncertainty(0, "one").parent):
        folder.mkdir(parents=True, exist_ok=True)
    pseudo_label_cases(inputs_of(root, project), a_model(), CPU, listener)
    return {
        case.id: read_segmentation(layout.proposal(0, case.id), SCHEMA)[0].array
        for case in project.cases_to_propose()
    }


@pytest.fixture
def put_in_place(monkeypatch):
    """Registration that takes no time: the patients of `a_project` differ by a shift."""

    def carry(volume, _, __):
        return as_carried(np.digitize(volume.array, (70, 190)).astype(np.uint8) * is_inside())

    def is_inside():
        inside = np.ones(STRAIGHT.array_shape, np.uint8)
        inside[FALSE_PIECE] = 0
        return inside

    monkeypatch.setattr(atlases_module, "carry_anatomy", carry)


def test_annotated_volumes_are_registered_to_the_cases_of_a_round(a_project):
    root, project = a_project
    atlases = ProjectAtlases(root, project, plan_next_round(project))
    assert min(atlases.carry_to(project.case("one")).trust) > 0.5


@pytest.mark.usefixtures("put_in_place")
def test_proposals_of_a_round_use_the_annotated_volumes_and_say_so(a_project):
    listener = Listener()
    found = propose(*a_project, listener)
    assert set(found) == {"one", "other"}
    assert max((array[FALSE_PIECE] == 3).mean() for array in found.values()) < 0.1
    notices = " ".join(map(str, listener.notices))
    assert "anatomy of 1 annotated or confirmed volume is carried over" in notices
    assert "Anatomy took part in 2 of 2 proposals" in notices


def test_without_the_setting_a_round_registers_nothing(a_project, monkeypatch):
    root, project = a_project
    config = replace(
        project.config,
        pseudo_label=replace(project.config.pseudo_label, anatomy_prior=AnatomyPriorConfig()),
    )
    monkeypatch.setattr(atlases_module, "carry_anatomy", None)
    listener = Listener()
    found = propose(root, replace(project, config=config), listener)
    assert (found["one"][FALSE_PIECE] == 3).mean() > 0.8
    assert not any("natomy" in str(notice) for notice in listener.notices)


@pytest.mark.usefixtures("put_in_place")
def test_round_stops_between_two_cases_and_goes_on_with_the_next(a_project, monkeypatch):
    root, project = a_project
    carried = []
    own = ProjectAtlases.carry_to
    monkeypatch.setattr(
        ProjectAtlases, "carry_to", lambda self, case: carried.append(case.id) or own(self, case)
    )
    stopping = Listener()
    stopping.is_cancelled = lambda: "one" in carried
    with pytest.raises(Cancelled):
        propose(root, project, stopping)
    assert carried == ["held out", "one"]
    propose(root, project, Listener())
    assert carried == ["held out", "one", "held out", "other"]


def test_only_whole_human_truth_is_an_atlas_and_never_the_validation_case(a_project):
    _, project = a_project
    assert [source.case_id for source in whole_truth(plan_next_round(project))] == ["drawn"]


def test_verdicts_make_atlases_where_they_confirm_a_whole_volume(tmp_path):
    root = make_project(tmp_path / "project", num_unlabelled=4)
    put_in_review(root, 0)
    project = load_project(root)
    proposal = ProjectLayout(root).proposal(0, "other-2")
    project = accept(root, project, "other-1")
    project = correct(root, project, "other-2", proposal, slices=[1, 2])
    project = correct(root, project, "other-3", proposal, slices=list(range(SMALL_SIZE[2])))
    found = [source.case_id for source in whole_truth(plan_next_round(project))]
    assert found[:2] == ["heart", "other-1"]
    assert "other-2" not in found
    assert "other-4" not in found


def test_no_case_is_its_own_atlas(a_project, monkeypatch):
    root, project = a_project
    monkeypatch.setattr(atlases_module, "carry_anatomy", lambda volume, others, most: len(others))
    atlases = ProjectAtlases(root, project, plan_next_round(project))
    assert atlases.carry_to(project.case("one")) == 1
    assert atlases.carry_to(project.case("drawn")) is None


def without_the_small_one(volume, _, __):
    """As registration that is consistent and puts a structure where it is not."""
    classes = np.digitize(volume.array, (70, 190)).astype(np.uint8)
    return as_carried(np.where(classes == 2, 2 * (np.indices(classes.shape)[2] % 2), classes))


def test_structure_that_anatomy_makes_worse_in_validation_goes_without(a_project, monkeypatch):
    root, project = a_project
    monkeypatch.setattr(atlases_module, "carry_anatomy", without_the_small_one)
    listener = Listener()
    layout = ProjectLayout(root)
    layout.preprocess_plan.parent.mkdir(exist_ok=True)
    found = anatomy_of_round(inputs_of(root, project), a_model(), CPU, listener)
    assert not found.helps[1]
    assert "label 7" in " ".join(map(str, listener.notices))
    said = found.of_case(project.case("one"))
    assert said is None or said.carried.trust[1] == 0
    # nobody can tell without a validation case
    alone = project.with_case(replace(project.case("held out"), role=CaseRole.IGNORED))
    assert anatomy_of_round(inputs_of(root, alone), a_model(), CPU, listener).helps == (True, True)
