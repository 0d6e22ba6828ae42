"""The documentation lists every finding of the code, with its class."""

from pathlib import Path

import pytest

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.findings import findings_table
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError, given_answer
from PseudoLabelCLLib.domain.question_kinds import LEAVE, QUESTIONS, Choice, QuestionKind

DOCS = Path(__file__).parents[3] / "Docs" / "inputs.md"


def test_documentation_lists_all_findings_as_the_code_has_them():
    text = DOCS.read_text(encoding="utf-8")
    begin, end = "<!-- findings: begin -->\n", "\n<!-- findings: end -->"
    assert text.partition(begin)[2].partition(end)[0] == findings_table()


@pytest.mark.parametrize("kind", QuestionKind)
def test_every_question_has_answers_of_which_each_has_a_button_and_an_effect(kind):
    choices = QUESTIONS[kind].choices
    assert choices
    assert len({choice.value for choice in choices}) == len(choices)
    assert all(choice.button and choice.effect for choice in choices)


def test_answer_for_a_case_counts_before_the_answer_for_all_and_the_last_before_the_first():
    given = [given_answer(text) for text in ("a:outside=leave", "outside=drop", "a:outside=drop")]
    assert Asking("a", given).ask(QuestionKind.OUTSIDE, "x") == "drop"
    assert Asking("A", given).ask(QuestionKind.OUTSIDE, "x") == "drop"
    assert Asking("b", given[:2]).ask(QuestionKind.OUTSIDE, "x") == "drop"


def test_question_names_the_flag_of_each_of_its_answers():
    with pytest.raises(QuestionError) as asked:
        Asking("case 1").ask(QuestionKind.OUTSIDE, "Found.", 7)
    assert '--answer "case 1:outside=drop"' in asked.value.remedy
    assert f'--answer "case 1:outside={LEAVE}"' in asked.value.remedy
    assert asked.value.question.num_voxels == 7


def test_question_can_have_answers_of_its_own():
    asking = Asking("a", [GivenAnswer(QuestionKind.OUTSIDE, "3")])
    own = (Choice("3", "Frame 3", "takes frame 3"),)
    assert asking.ask(QuestionKind.OUTSIDE, "x", choices=own) == "3"
    with pytest.raises(ProjectError, match="'3' is not an answer"):
        asking.ask(QuestionKind.OUTSIDE, "x")


@pytest.mark.parametrize("text", ["outside", "outside=", "=drop", "nothing=drop", "a:b=c", ""])
def test_what_answers_no_question_is_refused_with_the_kinds(text):
    with pytest.raises(ProjectError, match="is not a valid answer") as refused:
        given_answer(text)
    assert "same-shape" in refused.value.remedy
