"""The messages and their lines."""

import contextlib
import json
import string
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages import job_messages as protocol
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Cancel,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobStarted,
    Line,
    Metrics,
    Notice,
    NoticeLevel,
    WorkerCrashed,
    decode_line,
    encode_line,
    is_terminal,
)
from PseudoLabelCLLib.messages.json_lines import (
    ProtocolError,
    ProtocolVersionError,
    UnknownMessageError,
)

# Lone surrogates included: they stand for undecodable bytes of file names.
texts = st.text(st.characters(codec=None), max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | counts | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
messages = st.one_of(
    st.just(Cancel()),
    st.builds(JobStarted, st.just(protocol.PROTOCOL_VERSION), texts),
    st.builds(Progress, texts, counts, counts, st.none() | numbers),
    st.builds(Metrics, texts, counts, st.dictionaries(texts, numbers, max_size=3)),
    st.builds(Notice, st.sampled_from(NoticeLevel), texts),
    st.builds(Artifact, texts, texts),
    st.builds(JobCompleted, st.dictionaries(texts, json_values, max_size=3)),
    st.builds(JobCancelled, st.booleans()),
    st.builds(JobFailed, texts, texts, texts, texts),
    st.builds(WorkerCrashed, st.integers(-64, 2**32), texts, texts, texts),
)


@given(job_id=texts, seq=counts, message=messages)
def test_every_message_survives_its_line(job_id, seq, message):
    line = Line(job_id, seq, message)
    assert decode_line(encode_line(line)) == line


@given(messages)
def test_a_message_is_one_line_of_plain_ascii(message):
    data = encode_line(Line("j", 0, message))
    assert data.endswith(b"\n")
    assert set(data[:-1].decode("ascii")) <= set(string.printable) - set("\n\r\x0b\x0c")


@given(messages)
def test_every_line_says_type_job_and_number(message):
    content = json.loads(encode_line(Line("j", 7, message)))
    assert (content["type"], content["job_id"], content["seq"]) == (type(message).__name__, "j", 7)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_protocol_error(data):
    with contextlib.suppress(ProtocolError):
        decode_line(data)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "Progress"}, "job_id"),
        ({"type": 3, "job_id": "j", "seq": 0}, "type"),
        ({"type": "Cancel", "job_id": "j", "seq": True}, "seq"),
        ({"type": "Cancel", "job_id": "j", "seq": 0, "why": "so"}, "unknown fields: why"),
        ({"type": "Artifact", "job_id": "j", "seq": 0, "kind": "a"}, "lacks path"),
        ({"type": "JobCompleted", "job_id": "j", "seq": 0, "result": []}, "result"),
        ({"type": "JobCompleted", "job_id": "j", "seq": 0, "result": {}, "x": 1}, "alone"),
    ],
)
def test_wrong_fields_are_named(fields, words):
    with pytest.raises(ProtocolError, match=words):
        decode_line(json.dumps(fields).encode())


@pytest.mark.parametrize("data", [b"[]", b"3", b'"Cancel"', b"", b"nan", b"[" * 100_000])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(ProtocolError):
        decode_line(data)


def test_number_that_json_cannot_hold_is_refused_by_the_sender():
    with pytest.raises(ValueError, match="finite"):
        encode_line(Line("j", 0, Metrics("s", 1, {"loss": float("nan")})))


def test_unknown_type_is_an_error_of_its_own():
    with pytest.raises(UnknownMessageError, match="'Applause'"):
        decode_line(b'{"type": "Applause", "job_id": "j", "seq": 0, "volume": 11}')


@pytest.mark.parametrize("version", ["1", "0", '"1"', "null"])
def test_other_version_is_refused_before_its_fields_are_looked_at(version):
    line = f'{{"type": "JobStarted", "job_id": "j", "seq": 0, "protocol_version": {version}}}'
    with pytest.raises(ProtocolVersionError) as caught:
        decode_line(line.encode())
    assert caught.value.remedy


def test_terminal_events_are_these_four():
    every = typing.get_args(protocol.Message)
    terminal = [type_ for type_ in every if is_terminal(object.__new__(type_))]
    assert terminal == [JobCompleted, JobCancelled, JobFailed, WorkerCrashed]
