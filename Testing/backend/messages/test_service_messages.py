"""The lines between the service and its parent: every message there and back, every wrong line."""

import json
import typing

import pytest

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.question import Choice, GivenAnswer, Question, QuestionKind
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import (
    CaseFiles,
    CasesChecked,
    CorrectionPreview,
    DicomExportChecked,
    DicomExported,
    DicomExportResult,
    DicomFinding,
    Done,
    Exported,
    ExportedFile,
    ExportFix,
    FoundVolume,
    History,
    ModelCard,
    Problem,
    ProposedCodes,
    SampleVolume,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.job_messages import ProtocolError, ProtocolVersionError
from PseudoLabelCLLib.messages.jobs import SegmentationFormat
from PseudoLabelCLLib.messages.project_view import (
    CaseState,
    CaseView,
    PlanView,
    ProjectView,
    RoundFigures,
    RoundView,
)
from PseudoLabelCLLib.messages.service_messages import (
    SERVICE_PROTOCOL_VERSION,
    UNKNOWN_REQUEST,
    Answered,
    Refused,
    RequestAnswer,
    ServiceLineError,
    ServiceReady,
    Working,
    decode_message,
    decode_request,
    encode_message,
    encode_request,
)

ODD = "Größe 日本 \udcff \u2028 \x00\n"
HEART = Terminology(Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "1", ODD))
LABELS = LabelSchema((LabelClass(3, ODD, "#e69f00", HEART, "Segment_ä", True), LabelClass(
    1, "b", "#56b4e9")))  # fmt: skip
OBLIQUE = Geometry((4, 5, 6), (0.1, 0.2, 1 / 3), (1e-9, -2.5, 3e5), (0, 1, 0, 1, 0, 0, 0, 0, -1))
SHOWN = ProposalIdentity(ODD, 3, "0f" * 32)

QUESTION = Question(QuestionKind.SAME_SHAPE, ODD, 3, "a", (Choice("x", ODD, "does"),))

REQUESTS = (
    ask.CreateProject("/a", ODD, Profile.QUICK, LABELS),
    ask.OpenProject(ODD),
    ask.CloseProject(),
    ask.Refresh(),
    ask.FindVolumes("/a"),
    ask.AddVolumes((
        ask.NewVolume("a", CaseRole.ANNOTATED, ODD, "1.2.3", "/b", True),
        ask.NewVolume("b", CaseRole.IGNORED, "/c"),
        ask.NewVolume("c", CaseRole.IGNORED, "/c", None, None, False,
                      (GivenAnswer(QuestionKind.OUTSIDE, "drop", "c"),)),
    )),
    ask.SetRole(("a", ODD), CaseRole.VALIDATION),
    ask.ChooseSlices(("a", ODD), False),
    ask.RemoveCases(()),
    ask.ChangeLabels(LABELS),
    ask.ChangeSettings({"training.seed": "1", "x": ODD}),
    ask.CheckCases(),
    ask.AnswerQuestion(QUESTION, "voxels"),
    ask.ShowCase("a", 3, False),
    ask.ShowCase("a"),
    ask.Accept((SHOWN, ProposalIdentity("b", 0, "f")), (1, 3)),
    ask.Reject((SHOWN,)),
    ask.Correct(SHOWN, ODD, TruthExtent.CHANGED_VOXELS, (3,)),
    ask.PreviewCorrection(SHOWN, ODD, (3,)),
    ask.TakeBackVerdict(SHOWN),
    ask.ReadHistory(),
    ask.GoBack(-1),
    ask.Export("/a", SegmentationFormat.NIFTI, ("a",), True),
    ask.CheckDicomExport(ask.DicomChoices(("a", ODD), True, ODD, True, ODD, "CT")),
    ask.ExportDicom("/a", ask.DicomChoices(("a",))),
    ask.SaveModel(2, "/a"),
    ask.ReadModel("/a"),
    ask.MakeSampleData("/a"),
    ask.SignVerdicts("reader 2"),
)  # fmt: skip
VIEW = ProjectView(
    "/a", ODD, LABELS, config_for(Profile.PAPER),
    (
        CaseView("a", CaseRole.UNLABELLED, CaseState.PARTLY_REVIEWED, "/i", True, "1.2", None, 7,
                 (1.0, 2.0, 0.1), 0.3, ODD, Verdict.CORRECTED, (3,), 2 / 7, True, True, SHOWN,
                 Verdict.CORRECTED, 3),
        CaseView("b", CaseRole.ANNOTATED, CaseState.ANNOTATED, "/i", False, None, "/s", 1,
                 (1.0, 2.0, 3.0)),
    ),
    (RoundView(0, RoundState.IN_REVIEW, 1, 2, 3, "then", "", "/r", None),),
    PlanView(1, ODD, 1, 2, 3, True, False), ("a",), True, False, 2**40,
)  # fmt: skip
ANSWERS = (
    VIEW,
    Done(),
    VolumesFound((FoundVolume("a", "/i", None, ODD, "/s"),), (Problem("", False, ODD, ""),)),
    VolumesAdded(VIEW, (Problem("a", True, "m", "r"), Problem("a", True, "m", "", QUESTION))),
    CasesChecked(()),
    CaseFiles("a", 1, OBLIQUE, "/i", "/p", None, None, "/q", "/u", 2, (5, 1), SHOWN),
    CorrectionPreview(SHOWN, (3, 4), 7, 19, "/n"),
    CorrectionPreview(SHOWN, (), 0, 0, None),
    History((RoundFigures(0, 1 / 3, None, 0, 0.5),)),
    Exported((ExportedFile("a", "/f", "accepted"),)),
    DicomExportChecked(
        (
            DicomFinding(
                "", True, ODD, "r", ExportFix.CHOOSE_CODES, 3, (ProposedCodes(ODD, HEART),)
            ),
            DicomFinding("a", False, ODD),
        )
    ),
    DicomExported((DicomExportResult("a", "accepted", "/f", "", "", (ODD,), ("/s",)),)),
    ModelCard("/f", "abc", LABELS, ODD),
    SampleVolumes((SampleVolume("a", CaseRole.UNLABELLED, "/i", None),), LABELS),
)


def named(value):
    return type(value).__name__


def test_examples_cover_every_request_and_every_answer():
    assert {type(request) for request in REQUESTS} == set(typing.get_args(ask.Request))
    assert {type(answer) for answer in ANSWERS} == set(typing.get_args(RequestAnswer))


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
def test_request_comes_out_as_it_went_in(request_):
    assert decode_request(encode_request(7, request_)) == (7, request_)


@pytest.mark.parametrize("answer", ANSWERS, ids=named)
def test_answer_comes_out_as_it_went_in(answer):
    assert decode_message(encode_message(Answered(3, answer))) == Answered(3, answer)


@pytest.mark.parametrize(
    "message",
    [
        ServiceReady(SERVICE_PROTOCOL_VERSION, 1234),
        Refused(UNKNOWN_REQUEST, "ProjectError", ODD, ""),
        Working(2, ODD, 0, 10),
    ],
    ids=named,
)
def test_message_comes_out_as_it_went_in(message):
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
def test_a_message_is_one_line_of_ascii(request_):
    line = encode_request(0, request_)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert json.loads(line)["type"] == named(request_)


@pytest.mark.parametrize(
    ("line", "seq", "words"),
    [
        (b"", -1, "no valid JSON"),
        (b"\xff\xfe", -1, "UTF-16"),
        (b"[1]", -1, "not a JSON object"),
        (b'{"type": "Refresh"}', -1, "needs a number"),
        (b'{"type": "Refresh", "seq": -3}', -1, "needs a number"),
        (b'{"type": "Refresh", "seq": true}', -1, "needs a number"),
        (b'{"type": "Refresh", "seq": "1"}', -1, "needs a number"),
        (b'{"seq": 1}', 1, "type must be text"),
        (b'{"type": "Answered", "seq": 1}', 1, "There is no request 'Answered'"),
        (b'{"type": "GoBack", "seq": 1, "round_index": 1.5}', 1, "a whole number"),
        (b'{"type": "GoBack", "seq": 1, "round_index": NaN}', -1, "NaN"),
        (b'{"type": "GoBack", "seq": 1, "seq": 2, "round_index": 1}', -1, "twice"),
        (b'{"type": "Refresh", "seq": 1, "extra": 1}', 1, "unknown fields: extra"),
        (b'{"type": "Export", "seq": 1, "output_folder": "/a", "format": "bmp"}', 1, "seg.nrrd"),
    ],
)
def test_line_that_is_no_request_says_why_and_by_its_number(line, seq, words):
    with pytest.raises(ServiceLineError) as caught:
        decode_request(line)
    assert caught.value.seq == seq
    assert words in caught.value.message
    assert caught.value.remedy


def test_labels_that_contradict_each_other_are_no_request():
    content = json.loads(encode_request(4, ask.ChangeLabels(LABELS)))
    content["labels"]["classes"][1]["value"] = 3
    with pytest.raises(ServiceLineError, match="Two structures share the same value: 3") as caught:
        decode_request(json.dumps(content).encode())
    assert caught.value.seq == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"Slicer says hello.", "no valid JSON"),
        (b'{"type": "Refresh", "to": 1}', "unknown type 'Refresh'"),
        (b'{"type": "Working", "to": 1}', "lacks text, done, total"),
    ],
)
def test_line_that_is_no_message_says_why(line, words):
    with pytest.raises(ProtocolError, match=words):
        decode_message(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"type": "Answered", "to": 1, "answer": null}', "not an object"),
        (b'{"type": "Answered", "to": 1, "answer": {"type": "Cake"}}', "unknown type 'Cake'"),
        (b'{"type": "Answered", "answer": {"type": "Done"}}', "a whole number"),
        (b'{"type": "Refused", "to": 1, "new": 2}', "unknown fields: new"),
    ],
)
def test_answer_that_is_not_understood_is_one_of_another_version(line, words):
    with pytest.raises(ProtocolVersionError, match=words) as caught:
        decode_message(line)
    assert caught.value.remedy.startswith("Restart Slicer")


def test_service_of_another_version_is_known_even_if_its_fields_are_not():
    with pytest.raises(ProtocolVersionError, match="speaks version 2"):
        decode_message(b'{"type": "ServiceReady", "protocol_version": 2, "new": []}')
