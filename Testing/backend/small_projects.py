"""Small projects for tests of the service, made without torch: cases, rounds, proposals, doubts."""

import hashlib
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.cases import add_cases
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SIZE = (24, 20, 5)
GRID = Geometry(SIZE, (1.5, 1.5, 8.0), (3.0, -4.0, 5.0), (0, 1, 0, -1, 0, 0, 0, 0, 1))
SCHEMA = LabelSchema.from_values((1, 2))


def drawn(shift=0):
    """Two structures on slices 1 to 3, shape (k, j, i)."""
    array = np.zeros(SIZE[::-1], np.int16)
    array[1:4, 4 + shift : 14 + shift, 4:18] = 1
    array[1:4, 7 + shift : 11 + shift, 8:14] = 2
    return array


def write_image(path, seed=0):
    """Write a noisy image in which the structures can be seen; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(100, 5, SIZE[::-1])
    write_volume(path, Volume((noise + 60 * drawn()).astype(np.float32), GRID))
    return path


def write_drawing(path, array=None, schema=SCHEMA):
    """Write a segmentation; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(drawn() if array is None else array, GRID), schema)
    return path


def add_case(root, project, case_id, role, image, annotation=None, **options):
    """Add a case by its files; `options` are further fields of `NewCase`, `replace` or `asking`."""
    how = {name: options.pop(name) for name in ("replace", "asking") if name in options}
    annotation = None if annotation is None else str(annotation)
    new = NewCase(case_id, role, str(image), annotation=annotation, **options)
    return add_cases.add_case(root, project, new, **how)


def make_project(root, *, num_unlabelled=2):
    """Make a project with one annotated case, "heart", and others, "other-1" and so on."""
    project = Project("Hearts", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    data = root.parent / "data"
    image, label = write_image(data / "heart.nrrd"), write_drawing(data / "heart.seg.nrrd")
    project, _ = add_case(root, project, "heart", CaseRole.ANNOTATED, image, label)
    for number in range(1, num_unlabelled + 1):
        image = write_image(data / f"other-{number}.nrrd", seed=number)
        project, _ = add_case(root, project, f"other-{number}", CaseRole.UNLABELLED, image)
    return root


def put_in_review(root, index, *, doubts=None, cases=None):
    """Write what a trained round leaves: proposals with doubts, the state "in review"."""
    project = load_project(root)
    if index > 0:
        save_round(root, Round(index - 1, RoundState.CLOSED, num_truth_cases=1))
    save_round(root, Round(index, RoundState.IN_REVIEW, num_truth_cases=1))
    proposed = project.cases_to_propose() if cases is None else cases
    for number, case in enumerate(proposed, start=1):
        propose(root, index, case.id, 0.1 * number if doubts is None else doubts[case.id])


def questions_about(root, project, kind):
    """The questions of one kind that the check of the cases asks."""
    found = (finding.question for finding in check_cases(root, project))
    return [question for question in found if question is not None and question.kind is kind]


def with_saved_rounds(root, project, *rounds):
    """The project with these rounds, which are on disk, too: verdicts look there."""
    for round_ in rounds:
        save_round(root, round_)
        project = project.with_round(round_)
    return project


def begin_proposing(root, index, **doubts):
    """Write what a round leaves that is interrupted, or still runs, after its first proposals.

    The cases are named without the hyphen: other_1=0.3.
    """
    if index > 0:
        save_round(root, Round(index - 1, RoundState.CLOSED, num_truth_cases=1))
    save_round(root, Round(index, RoundState.PSEUDO_LABELLING, num_truth_cases=1))
    for name, doubt in doubts.items():
        propose(root, index, name.replace("_", "-"), doubt)


def propose(root, index, case_id, doubt):
    """Write a proposal as a round does, its doubt last."""
    layout = ProjectLayout(root)
    write_drawing(layout.proposal(index, case_id), drawn(shift=1))
    scores = Doubt(doubt, 0.9, (0.1,) * SIZE[2], f"Look at {case_id}.")
    write_json(layout.doubt(index, case_id), to_json(scores))


def contents(folder):
    """A fingerprint of every file below a folder; locks, which hold nothing, aside."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
