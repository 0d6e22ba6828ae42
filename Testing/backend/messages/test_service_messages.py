"""The lines between the service and its parent: every message there and back, every wrong line."""

import json

import pytest
from message_examples import LABELS, ODD, example_of

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    CorrectionPreview,
    History,
    Problem,
)
from PseudoLabelCLLib.messages.json_lines import ProtocolError, ProtocolVersionError
from PseudoLabelCLLib.messages.project_view import (
    RoundFigures,
)
from PseudoLabelCLLib.messages.requests import known_requests
from PseudoLabelCLLib.messages.service_messages import (
    SERVICE_PROTOCOL_VERSION,
    UNKNOWN_REQUEST,
    Answered,
    InvalidRequestError,
    Refused,
    RequestProgress,
    ServiceReady,
    decode_message,
    decode_request,
    encode_message,
    encode_request,
)

VOLUME = ask.NewCase("b", CaseRole.IGNORED, "/c")
REQUESTS = (
    *(example_of(type_) for type_ in known_requests()),
    ask.AddVolumes((VOLUME, example_of(ask.NewCase))),
    ask.CheckDicomExport(),
    ask.GoBack(-1),
    ask.RemoveCases(()),
    ask.ShowCase("a"),
)
ANSWER_TYPES = sorted({one.answer_type for one in known_requests()}, key=lambda one: one.__name__)
ANSWERS = (
    *(example_of(type_) for type_ in ANSWER_TYPES),
    CasesChecked(()),
    CasesChecked((Problem("", False, ODD, ""), example_of(Problem))),
    CorrectionPreview(example_of(ProposalIdentity), (), 0, 0, None),
    History((RoundFigures(0, None, 1 / 3, 0, None),)),
)


def named(value):
    return type(value).__name__


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
        RequestProgress(2, Progress(ODD, 0, 10, 1.5)),
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
        (b'{"type": "Answered", "seq": 1}', 1, "There is no request of the type 'Answered'"),
        (b'{"type": "GoBack", "seq": 1, "round_index": 1.5}', 1, "a whole number"),
        (b'{"type": "GoBack", "seq": 1, "round_index": NaN}', -1, "NaN"),
        (b'{"type": "GoBack", "seq": 1, "seq": 2, "round_index": 1}', -1, "twice"),
        (b'{"type": "Refresh", "seq": 1, "extra": 1}', 1, "unknown fields: extra"),
        (b'{"type": "Export", "seq": 1, "output_folder": "/a", "format": "bmp"}', 1, "seg.nrrd"),
    ],
)
def test_line_that_is_no_request_says_why_and_by_its_number(line, seq, words):
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(line)
    assert caught.value.seq == seq
    assert words in caught.value.message
    assert caught.value.remedy


def test_labels_that_contradict_each_other_are_no_request():
    content = json.loads(encode_request(4, ask.ChangeLabels(LABELS)))
    content["labels"]["classes"][1]["value"] = 3
    with pytest.raises(
        InvalidRequestError, match="Two structures share the same value: 3"
    ) as caught:
        decode_request(json.dumps(content).encode())
    assert caught.value.seq == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"Slicer says hello.", "no valid JSON"),
        (b'{"type": "Refresh", "to": 1}', "There is no message of the type 'Refresh'"),
        (b'{"type": "RequestProgress", "to": 1, "progress": {}}', "lacks stage, step, num_steps"),
    ],
)
def test_line_that_is_no_message_says_why(line, words):
    with pytest.raises(ProtocolError, match=words):
        decode_message(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"type": "Answered", "to": 1, "answer": null}', "not an object"),
        (
            b'{"type": "Answered", "to": 1, "answer": {"type": "Cake"}}',
            "There is no answer of the type 'Cake'",
        ),
        (b'{"type": "Answered", "answer": {"type": "Done"}}', "a whole number"),
        (b'{"type": "Refused", "to": 1, "new": 2}', "unknown fields: new"),
    ],
)
def test_answer_that_is_not_understood_is_one_of_another_version(line, words):
    with pytest.raises(ProtocolVersionError, match=words) as caught:
        decode_message(line)
    assert caught.value.remedy.startswith("Restart Slicer")


def test_service_of_another_version_is_known_even_if_its_fields_are_not():
    with pytest.raises(ProtocolVersionError, match="speaks version 99"):
        decode_message(b'{"type": "ServiceReady", "protocol_version": 99, "new": []}')
