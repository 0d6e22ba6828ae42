"""Cases with one image are asked about before the network learns from it or is measured on it."""

import numpy as np
import pytest
from small_projects import add_case, questions_about
from test_check_cases import SCHEMA, noise, segmented, write

from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer, keep_answers
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import UnansweredError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.pipeline.rounds.require_answers import require_answers
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project


def a_project(folder, **images):
    """A project with a case for each image; names begin with the letter of their role."""
    roles = {
        "a": CaseRole.ANNOTATED, "v": CaseRole.VALIDATION, "u": CaseRole.UNLABELLED,
    }  # fmt: skip
    root, project = folder / "project", Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    labels = write(folder / "labels.nrrd", segmented())
    for name, array in images.items():
        image, role = write(folder / f"{name}.nrrd", array), roles[name[0]]
        drawn = (labels,) if role.needs_annotation else ()
        project, _ = add_case(root, project, name, role, image, *drawn)
    return root, project


def asked_about(root, project):
    return questions_about(root, project, QuestionKind.SAME_IMAGE)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (("u1", "a1"), "u1"),  # the annotated one stays, wherever it stands
        (("u1", "u2"), "u2"),
        (("u1", "v1"), "u1"),
        (("v1", "a1"), "v1"),
    ],
)
def test_of_two_cases_with_one_image_the_one_with_less_to_lose_is_asked_about(
    tmp_path, names, asked
):
    more = {"a9": noise(9)} if "a1" not in names else {}
    root, project = a_project(tmp_path, **dict.fromkeys(names, noise(1)), u8=noise(8), **more)
    (question,) = asked_about(root, project)
    assert question.case_id == asked
    (other,) = set(names) - {asked}
    assert f"'{asked}' and '{other}' have the same image" in question.message


def test_a_validation_case_that_is_learned_from_is_told_as_such(tmp_path):
    root, project = a_project(tmp_path, a1=noise(1), v1=noise(1), u1=noise(2))
    (question,) = asked_about(root, project)
    assert "what is measured on it would be too good" in question.message


def test_images_that_differ_in_one_voxel_are_two(tmp_path):
    changed = noise(1)
    changed[2, 3, 4] += 1
    root, project = a_project(tmp_path, a1=noise(1), u1=changed, u2=np.float32(2) * noise(1))
    assert asked_about(root, project) == []


def test_nothing_is_learned_before_it_is_answered(tmp_path):
    root, project = a_project(tmp_path, a1=noise(1), u1=noise(1), u2=noise(2))
    with pytest.raises(UnansweredError, match="same-image=keep"):
        require_answers(check_cases(root, project))


@pytest.mark.parametrize(
    ("answer", "role"), [("keep", CaseRole.UNLABELLED), ("leave", CaseRole.IGNORED)]
)
def test_the_answer_is_kept_and_not_asked_for_again(tmp_path, answer, role):
    root, project = a_project(tmp_path, a1=noise(1), u1=noise(1), u2=noise(2))
    (question,) = asked_about(root, project)
    project = keep_answer(root, project, question, answer)
    assert load_project(root) == project
    assert project.case("u1").role is role
    assert asked_about(root, project) == []


def test_one_answer_serves_all_copies(tmp_path):
    root, project = a_project(
        tmp_path, a1=noise(1), u1=noise(1), u2=noise(1), u3=noise(3), u4=noise(3)
    )
    assert [question.case_id for question in asked_about(root, project)] == ["u1", "u2", "u4"]
    project = keep_answers(root, project, [GivenAnswer(QuestionKind.SAME_IMAGE, "leave")])
    assert {case.id for case in project.cases_with_role(CaseRole.IGNORED)} == {"u1", "u2", "u4"}
