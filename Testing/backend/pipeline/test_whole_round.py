"""The loop on tiny phantoms: round 0, review, round 1, a model for new volumes, a table."""

import io
import json
import shutil
import zipfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from judging import accept, correct, reject
from learning_doubles import CPU, SCHEMA, Listener, grid, phantom_slices, training_config
from small_projects import add_case

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig, Selection
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.method_config import AugmentationConfig
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.tensor_files import read_tensor_file
from PseudoLabelCLLib.learning.training.sampling import SlicePool
from PseudoLabelCLLib.messages.jobs import EvaluateJob, PredictJob
from PseudoLabelCLLib.pipeline.prediction import apply_model as apply_module
from PseudoLabelCLLib.pipeline.prediction import evaluate as evaluate_module
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.evaluate import evaluate
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds import round_data
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.storage.project.model_archive import CARD_VERSION
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

pytestmark = pytest.mark.slow

NUM_SLICES = 5
OBLIQUE_LEFT_HANDED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, -1.0)
CORRECTED_SLICES = (1, 2)
UNLABELLED = ("to accept", "to correct", "to reject", "to wait")
CONFIG = replace(
    config_for(Profile.QUICK),
    preprocess=replace(
        config_for(Profile.QUICK).preprocess, in_plane_spacing_mm=1.5, window_size=(64, 64)
    ),
    network=NetworkConfig(widths=(8,) * 6, embedding_size=4),
    training=replace(
        training_config(num_steps=24, batch_size=4),
        augmentation=AugmentationConfig(contrast_fraction=0.1, brightness=0.1),
    ),
    pseudo_label=PseudoLabelConfig(num_augmented_copies=2),
)


def spied_pool(made):
    """A kind of pool that adds what it was made of to a list."""

    class SpiedPool(SlicePool):
        def __init__(self, cases, num_classes, patches=None):
            super().__init__(cases, num_classes, patches)
            made.append(list(cases))

    return SpiedPool


@dataclass
class Loop:
    """What the loop left, for the tests to look at."""

    root: Path
    before_round_1: Path
    proposals: dict = field(default_factory=dict)
    pools: list = field(default_factory=list)
    listeners: list = field(default_factory=list)
    plan: object = None
    project: Project | None = None


def write_phantom(folder, name, seed, geometry):
    slices = phantom_slices(NUM_SLICES, geometry.array_shape[1:], seed)
    labels = np.array((0, *SCHEMA.values), np.int16)[slices.classes]
    image, segmentation = folder / f"{name}.nrrd", folder / f"{name}.seg.nrrd"
    write_volume(image, Volume((1000 * slices.images[:, 0]).astype(np.float32), geometry))
    write_segmentation(segmentation, LabelVolume(labels, geometry), SCHEMA)
    return image, segmentation


def phantom_geometry(number):
    direction = OBLIQUE_LEFT_HANDED if number % 2 else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    size = (56 + number, 60 - number, NUM_SLICES)
    return grid(size, (1.5, 1.5, 6.0 + number), direction, (10.0 * number, -7.0, 3.0))


def make_project(folder, config=CONFIG, *, has_validation=True):
    data = folder / "data"
    data.mkdir()
    root = folder / "project"
    project = Project("phantoms", SCHEMA, config)
    create_project(root, project)
    roles = [("truth", CaseRole.ANNOTATED)]
    roles += [("held out", CaseRole.VALIDATION)] if has_validation else []
    roles += [(name, CaseRole.UNLABELLED) for name in UNLABELLED]
    for number, (name, role) in enumerate(roles):
        image, segmentation = write_phantom(data, name, number, phantom_geometry(number))
        annotation = segmentation if role.needs_annotation else None
        project, _ = add_case(root, project, name, role, image, annotation)
    return root, project


def review(root, project, folder):
    project = accept(root, project, "to accept")
    project = reject(root, project, "to reject")
    case = project.case("to correct")
    proposal = read_segmentation(ProjectLayout(root).proposal(0, case.id), SCHEMA)[0].array.copy()
    truth = read_segmentation(folder / "data" / "to correct.seg.nrrd", SCHEMA)[0].array
    for number in CORRECTED_SLICES:
        proposal[number] = truth[number]
    write_segmentation(folder / "drawn.seg.nrrd", LabelVolume(proposal, case.geometry), SCHEMA)
    return correct(root, project, case.id, folder / "drawn.seg.nrrd", slices=list(CORRECTED_SLICES))


@pytest.fixture(scope="module")
def the_loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    root, project = make_project(folder)
    loop = Loop(root, folder / "copy")
    loop.listeners.append(Listener())
    project = run_round(root, project, CPU, loop.listeners[0])
    for name in UNLABELLED:
        loop.proposals[name] = read_segmentation(ProjectLayout(root).proposal(0, name), SCHEMA)[0]
    project = review(root, project, folder)
    shutil.copytree(root, loop.before_round_1)
    loop.plan = plan_next_round(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_data, "SlicePool", spied_pool(loop.pools))
        loop.listeners.append(Listener())
        loop.project = run_round(root, load_project(root), CPU, loop.listeners[1])
    return loop


def pickles_in(path, data):
    """Names of what is a pickle in a file, also within zips within it."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(f"{path}/{name}", archive.read(name)) for name in archive.namelist()]
        return [found for name, part in members for found in pickles_in(name, part)]
    is_named_so = str(path).endswith((".pkl", ".pickle"))
    begins_so = data[:1] == b"\x80" and data[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return [str(path)] if is_named_so or begins_so else []


def test_what_a_round_costs_is_said_before_its_end_and_stands_in_its_record(the_loop):
    for number, round_ in enumerate(load_project(the_loop.root).rounds[:2]):
        told = [text for text, _ in the_loop.listeners[number].notices]
        assert any("on this computer" in text and "GB" in text for text in told)
        cost = round_.cost
        assert min(cost.expected_s, cost.seconds, cost.expected_bytes, cost.peak_bytes) > 0


def test_nothing_that_a_round_leaves_is_pickled(the_loop, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "as before.pt")
    assert pickles_in("as before", (tmp_path / "as before.pt").read_bytes())  # would be found
    files = [path for path in the_loop.root.rglob("*") if path.is_file()]
    assert "model.plcl" in {path.name for path in files}
    assert [found for path in files for found in pickles_in(path, path.read_bytes())] == []


def as_the_version_before(root):
    """Write the models of a project as they were before their weights were raw tensors."""
    for path in ProjectLayout(root).rounds.rglob("model.plcl"):
        model = read_model(path)
        with zipfile.ZipFile(path) as archive:
            card = {**json.loads(archive.read("model.json")), "schema_version": 2}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.json", json.dumps(card))
            with archive.open("weights.pt", "w") as weights:
                torch.save(dict(model.network.state_dict()), weights)


def test_project_of_the_version_before_goes_on_to_the_same_numbers_and_is_rewritten(
    the_loop,
):
    root = the_loop.root.parent / "of the version before"  # beside the images
    shutil.copytree(the_loop.before_round_1, root)
    as_the_version_before(root)
    (root / "pretraining").mkdir()
    torch.save({"a": torch.ones(2)}, root / "pretraining" / "weights.pt")
    (ProjectLayout(root).rounds / "round_00" / "moments.pt").write_bytes(b"PK\x03\x04 damaged")
    listener = Listener()
    run_round(root, load_project(root), CPU, listener)
    told = [text for text, is_warning in listener.notices if is_warning]
    assert any("'moments.pt' stays in its earlier form" in text for text in told)
    again, before = (read_model(ProjectLayout(r).model(1)).network for r in (root, the_loop.root))
    weights = before.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())
    assert read_model(ProjectLayout(root).model(0)).card.schema_version == CARD_VERSION
    files = [path for path in root.rglob("*") if path.is_file()]
    assert [found for path in files for found in pickles_in(path, path.read_bytes())] == []


def network_images(loop, case_id):
    return np.load(ProjectLayout(loop.root).preprocessed(case_id) / "images.npy")


def slices_in(pool, images):
    """Which slices of a case are in a pool, told by their voxels."""
    held = [case.images[number] for case in pool for number in case.numbers]
    return [n for n, wanted in enumerate(images) if any(np.array_equal(wanted, h) for h in held)]


def test_every_unlabelled_case_gets_a_proposal_on_its_own_grid(the_loop):
    for number, name in enumerate(UNLABELLED, start=2):
        proposal = the_loop.proposals[name]
        assert proposal.geometry.is_close_to(phantom_geometry(number))
        assert set(np.unique(proposal.array)) <= {0, *SCHEMA.values}
        uncertainty = read_volume(ProjectLayout(the_loop.root).uncertainty(0, name))
        assert uncertainty.geometry.is_close_to(phantom_geometry(number))
        assert 0 <= uncertainty.array.min() <= uncertainty.array.max() <= 1


def test_rounds_end_in_review_with_report_model_and_measurement(the_loop):
    layout = ProjectLayout(the_loop.root)
    states = [round_.state for round_ in load_project(the_loop.root).rounds]
    assert states == [RoundState.CLOSED, RoundState.IN_REVIEW]
    for index, listener in enumerate(the_loop.listeners):
        assert {"model", "proposal", "evaluation", "report"} <= {k for k, _ in listener.artifacts}
        assert layout.report(index).stat().st_size > 1000
        assert layout.learning_curve(index).exists()
        assert (f"Round {index}: training", 24, 24) in listener.steps


def test_rejected_case_is_trained_on_nowhere(the_loop):
    images = network_images(the_loop, "to reject")
    assert the_loop.plan.left_out == ("to reject",)
    assert [slices_in(pool, images) for pool in the_loop.pools] == [[], []]


def test_validation_case_is_trained_on_nowhere(the_loop):
    images = network_images(the_loop, "held out")
    assert [slices_in(pool, images) for pool in the_loop.pools] == [[], []]


def test_accepted_and_annotated_cases_are_truth_alone(the_loop):
    for name in ("truth", "to accept"):
        truth, pseudo = (slices_in(pool, network_images(the_loop, name)) for pool in the_loop.pools)
        assert truth == list(range(NUM_SLICES))
        assert pseudo == []


def test_corrected_slices_are_truth_and_the_others_stay_pseudo_labels(the_loop):
    images = network_images(the_loop, "to correct")
    truth, pseudo = (slices_in(pool, images) for pool in the_loop.pools)
    assert truth == list(CORRECTED_SLICES)
    assert pseudo == [n for n in range(NUM_SLICES) if n not in CORRECTED_SLICES]


def test_unreviewed_case_is_a_pseudo_label_alone(the_loop):
    images = network_images(the_loop, "to wait")
    truth, pseudo = (slices_in(pool, images) for pool in the_loop.pools)
    assert truth == []
    assert pseudo == list(range(NUM_SLICES))


def test_pools_hold_nothing_but_what_the_plan_names(the_loop):
    truth, pseudo = (sum(len(case) for case in pool) for pool in the_loop.pools)
    assert {source.case_id for source in the_loop.plan.human} == {
        "truth",
        "to accept",
        "to correct",
    }
    assert set(the_loop.plan.pseudo) == {"to correct", "to wait"}
    assert truth == 2 * NUM_SLICES + len(CORRECTED_SLICES)
    assert pseudo == 2 * NUM_SLICES - len(CORRECTED_SLICES)


def test_round_leaves_on_disk_the_classes_it_used_and_no_older_ones(the_loop):
    folder = ProjectLayout(the_loop.root).preprocess_plan.parent
    kept = Counter(path.parent.name for path in folder.glob("*/classes-*.npy"))
    # of the corrected case both the correction and the proposal are used
    assert kept == {"truth": 1, "to accept": 1, "to correct": 2, "to wait": 1}


def test_pools_map_whole_arrays_from_disk_and_copy_none(the_loop):
    cases = [case for pool in the_loop.pools for case in pool]
    arrays = [array for case in cases for array in (case.images, case.classes)]
    assert len(arrays) == 2 * 5
    assert not any(array.flags.owndata or array.flags.writeable for array in arrays)
    assert {len(array) for array in arrays} == {NUM_SLICES}


def test_wholly_reviewed_case_is_not_proposed_again(the_loop):
    layout = ProjectLayout(the_loop.root)
    proposed = [name for name in UNLABELLED if layout.proposal(1, name).exists()]
    assert proposed == ["to correct", "to reject", "to wait"]


def test_next_round_is_no_worse_on_the_validation_case_than_the_one_before(the_loop):
    layout = ProjectLayout(the_loop.root)
    dices = [read_model(layout.model(n)).card.training.validation_dice for n in (0, 1)]
    assert dices[1] >= dices[0] > 0.1  # a network that found nothing would have 0


def test_model_segments_a_new_oblique_volume_on_its_own_grid(the_loop, tmp_path, monkeypatch):
    monkeypatch.setattr(apply_module, "choose_device", lambda _name: CPU)
    geometry = replace(phantom_geometry(7), origin_mm=(-80.0, 31.5, 400.25))
    image, _ = write_phantom(tmp_path, "new", 50, geometry)
    model = ProjectLayout(the_loop.root).model(1)
    job = PredictJob(str(model), (str(image),), str(tmp_path / "out"), uncertainty=True)
    listener = Listener()
    result = apply_model(job, listener)
    found = read_segmentation(Path(result["segmentations"][0]["output"]), SCHEMA)[0]
    assert geometry.is_left_handed
    assert found.geometry.is_close_to(geometry)
    assert found.array.any()
    assert [kind for kind, _ in listener.artifacts] == ["segmentation", "uncertainty"]
    with pytest.raises(PseudoLabelCLError, match="not overwritten"):
        apply_model(job, listener)


def test_evaluation_measures_every_round_on_the_validation_case(the_loop, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_module, "choose_device", lambda _name: CPU)
    job = EvaluateJob(project=str(the_loop.root), output=str(tmp_path / "table.json"))
    told = evaluate(job, Listener())
    assert [model["name"] for model in told["models"]] == ["round 0", "round 1"]
    assert (tmp_path / "table.json").exists()
    for index, model in enumerate(told["models"]):
        assert [case["id"] for case in model["cases"]] == ["held out"]
        card = read_model(ProjectLayout(the_loop.root).model(index)).card
        # the card's is of one copy, this one of the averaged copies and per volume
        assert model["summary"]["mean"]["dice"]["mean"] == pytest.approx(
            card.training.validation_dice, abs=0.15
        )


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        pytest.param("Round 1: training", 1, marks=pytest.mark.long),
        ("Round 1: training", 13),
        ("Round 1: pseudo-labels", 1),
    ],
)
def test_cancelled_round_goes_on_and_ends_like_an_uninterrupted_one(
    the_loop, stage, step, tmp_path
):
    # images are found by relative paths, so the copy must lie as deep as the project
    root = the_loop.root.parent / f"{stage[9:]} {step}".replace(" ", "-")
    shutil.copytree(the_loop.before_round_1, root)
    listener = Listener(stage, step)
    with pytest.raises(Cancelled):
        run_round(root, load_project(root), CPU, listener)
    last = [done for name, done, _ in listener.steps if name == stage][-1]
    assert last == step
    run_round(root, load_project(root), CPU, Listener())
    ours, theirs = (
        read_model(ProjectLayout(r).model(1)).network.state_dict() for r in (root, the_loop.root)
    )
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    for name in ("to correct", "to reject", "to wait"):
        first, second = (
            read_segmentation(ProjectLayout(r).proposal(1, name), SCHEMA)[0].array
            for r in (root, the_loop.root)
        )
        np.testing.assert_array_equal(first, second)


def test_case_added_after_a_round_waits_for_its_first_proposal(the_loop):
    root = the_loop.root.parent / "newcomer"
    shutil.copytree(the_loop.before_round_1, root)
    project = load_project(root)
    image, _ = write_phantom(root.parent / "data", "newcomer", 60, phantom_geometry(6))
    project, _ = add_case(root, project, "newcomer", CaseRole.UNLABELLED, image)
    listener = Listener()
    run_round(root, project, CPU, listener)
    assert any("'newcomer' has no proposal from round 0" in text for text, _ in listener.notices)
    proposal = read_segmentation(ProjectLayout(root).proposal(1, "newcomer"), SCHEMA)[0]
    assert proposal.geometry.is_close_to(phantom_geometry(6))


def test_broken_image_is_told_before_a_round_begins(tmp_path):
    root, project = make_project(tmp_path)
    (tmp_path / "data" / "to wait.nrrd").unlink()
    with pytest.raises(PseudoLabelCLError, match="to wait"):
        run_round(root, project, CPU, Listener())
    assert load_project(root).rounds == ()


def trained_twice(folder, training, *, has_validation):
    root, project = make_project(
        folder, replace(CONFIG, training=training), has_validation=has_validation
    )
    for _ in range(2):
        project = run_round(root, project, CPU, Listener())
    return [read_model(ProjectLayout(root).model(index)) for index in (0, 1)]


@pytest.mark.parametrize(
    "selection",
    [
        Selection.BEST,
        pytest.param(Selection.LAST_IMPROVEMENT, marks=pytest.mark.long),
        pytest.param(Selection.LAST, marks=pytest.mark.long),
    ],
)
def test_without_validation_every_rule_keeps_the_last_weights(tmp_path, selection):
    training = replace(training_config(num_steps=3), selection=selection, reset_head=True)
    models = trained_twice(tmp_path, training, has_validation=False)
    for model in models:
        assert model.card.training.selected_at_step == 3
        assert model.card.training.validation_dice is None


def test_published_selection_takes_the_first_measurement_of_the_first_joint_round(tmp_path):
    # nothing is learned at this rate, so that no measurement is better than round 0
    training = replace(
        training_config(num_steps=4), selection=Selection.LAST_IMPROVEMENT, reset_head=True,
        validations_per_round=2,
    )  # fmt: skip
    training = replace(training, joint=replace(training.joint, learning_rate=1e-9))
    _, after = trained_twice(tmp_path, training, has_validation=True)
    assert after.card.training.selected_at_step > 0


@pytest.mark.long
def test_round_that_begins_with_a_new_head_can_still_keep_the_weights_before_it(tmp_path):
    # at this rate nothing is learned, so the new head stays random and round 0 stays the best
    training = replace(training_config(num_steps=24, batch_size=4), reset_head=True)
    training = replace(training, joint=replace(training.joint, num_steps=2, learning_rate=1e-9))
    before, after = trained_twice(tmp_path, training, has_validation=True)
    assert after.card.training.selected_at_step == 0
    weights = [model.network.classifier.weight for model in (before, after)]
    assert torch.equal(*weights)


def test_a_round_that_changes_nothing_says_so(tmp_path):
    training = replace(training_config(num_steps=24, batch_size=4), reset_head=True)
    training = replace(training, joint=replace(training.joint, num_steps=2, learning_rate=1e-9))
    root, project = make_project(tmp_path, replace(CONFIG, training=training))
    told = []
    for _ in range(2):
        listener = Listener()
        project = run_round(root, project, CPU, listener)
        told.append([text for text, _ in listener.notices if "stays as it was" in text])
    assert told[0] == []
    (text,) = told[1]
    assert text.startswith("Round 1 was never better on the validation cases than round 0")


def test_joint_round_can_begin_with_a_fresh_network(tmp_path):
    """At this rate weights hardly move, so what is kept is what the round began with."""
    training = replace(training_config(num_steps=24, batch_size=4), fresh_network=True)
    training = replace(
        training, joint=replace(training.joint, num_steps=2, learning_rate=1e-9),
        selection=Selection.LAST, keep_moments=True, pseudo_label_weight=1.0,
    )  # fmt: skip
    before, after = trained_twice(tmp_path, training, has_validation=True)
    assert after.card.training.selected_at_step == 2
    weights = [model.network.classifier.weight for model in (before, after)]
    assert not torch.allclose(*weights, atol=1e-3)
    fresh = SegmentationNetwork(
        CONFIG.network, SCHEMA.num_classes, torch.Generator().manual_seed(CONFIG.training.seed + 1)
    )
    torch.testing.assert_close(after.network.classifier.weight, fresh.classifier.weight)


@pytest.mark.long
def test_a_joint_round_goes_on_with_the_kept_moments_of_the_one_before(tmp_path):
    training = replace(training_config(num_steps=2), keep_moments=True)
    root, project = make_project(tmp_path, replace(CONFIG, training=training), has_validation=False)
    counts = []
    for index in range(3):
        project = run_round(root, project, CPU, Listener())
        path = ProjectLayout(root).moments(index)
        if path.exists():
            moments = read_tensor_file(path, torch.device("cpu"))["state"]
            counts.append({int(parameter["step"]) for parameter in moments.values()})
    assert counts == [{2}, {4}]  # steps that Adam has seen after rounds 1 and 2


def test_without_being_asked_no_round_keeps_moments(the_loop):
    assert not list(ProjectLayout(the_loop.root).rounds.rglob("moments.pt"))
