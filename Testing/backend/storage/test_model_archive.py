"""Model files come back whole, and unsafe ones are refused before anything is unpacked."""

import io
import json
import pickle
import struct
import zipfile

import pytest

from PseudoLabelCLLib.domain.errors import ModelFileError, StorageError
from PseudoLabelCLLib.storage.project.model_archive import (
    MAX_CARD_BYTES,
    MAX_WEIGHTS_BYTES,
    read_model_archive,
    write_model_archive,
)

A_CARD = {"name": "Herz ä", "labels": [1, 2], "dice": 0.5, "none": None}


def zip_of(members, packing=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def with_false_size(data, name, size):
    """Return the zip with another unpacked size in both headers of a member."""
    changed = bytearray(data)
    for signature, size_at, name_at in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            if data[start + name_at :].startswith(name.encode()):
                struct.pack_into("<I", changed, start + size_at, size)
    return bytes(changed)


def raw_tensors(header, data=bytes(4000)):
    """A file in the form of safetensors."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


A_TENSOR = {"dtype": "F32", "shape": [10, 100], "data_offsets": [0, 4000]}


def earlier_weights():
    """What torch.save writes has this form: a zip of unpacked members."""
    return zip_of([("archive/data.pkl", b"\x80\x02}."), ("archive/data/0", bytes(4000))])


@pytest.fixture
def weights():
    return raw_tensors({"a": A_TENSOR})


@pytest.fixture
def a_path(tmp_path):
    return tmp_path / "Modell é.plcl"


def test_model_comes_back_as_it_was(a_path, weights):
    write_model_archive(a_path, A_CARD, weights)
    assert read_model_archive(a_path) == (A_CARD, weights)


def test_same_model_gives_the_same_bytes(tmp_path, weights):
    one, other = tmp_path / "1.plcl", tmp_path / "2.plcl"
    write_model_archive(one, A_CARD, weights)
    write_model_archive(other, A_CARD, weights)
    assert one.read_bytes() == other.read_bytes()


def test_any_unzipping_program_can_read_the_card(a_path, weights):
    write_model_archive(a_path, A_CARD, weights)
    with zipfile.ZipFile(a_path) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("model.json")) == A_CARD


def test_missing_model_is_told(a_path):
    with pytest.raises(ModelFileError, match=r"model file .* was not found"):
        read_model_archive(a_path)


def test_folder_is_told(tmp_path):
    with pytest.raises(StorageError):
        read_model_archive(tmp_path)


def test_model_of_the_version_before_is_read(a_path):
    a_path.write_bytes(zip_of([("model.json", b"{}"), ("weights.pt", earlier_weights())]))
    assert read_model_archive(a_path) == ({}, earlier_weights())


def test_packed_card_within_its_limit_opens(a_path, weights):
    with zipfile.ZipFile(a_path, "w") as archive:
        archive.writestr("model.json", json.dumps(A_CARD), zipfile.ZIP_DEFLATED)
        archive.writestr("weights.safetensors", weights, zipfile.ZIP_STORED)
    assert read_model_archive(a_path) == (A_CARD, weights)


def test_pipe_is_refused_without_waiting_for_its_other_end(a_path, make_pipe):
    make_pipe(a_path)
    with pytest.raises(StorageError, match="a pipe or a device"):
        read_model_archive(a_path)


def _archive(card=b"{}", weights=None, extra=(), packing=zipfile.ZIP_STORED):
    weights = raw_tensors({"a": A_TENSOR}) if weights is None else weights
    members = [("model.json", card), ("weights.safetensors", weights), *extra]
    return zip_of(members, packing)


def _earlier(weights, card=b"{}"):
    return zip_of([("model.json", card), ("weights.pt", weights)])


def _with_tensors(*entries, data=bytes(4000)):
    return _archive(weights=raw_tensors(dict(zip("abc", entries, strict=False)), data))


def _tensor(**changes):
    return {**A_TENSOR, **changes}


DEEP = b"[" * 100_000 + b"]" * 100_000
BAD_FILES = {
    "empty": (b"", "not a model file"),
    "text": (b"hello world", "not a model file"),
    "pickle": (pickle.dumps({"a": 1}), "pickle"),
    "empty zip": (zip_of([]), "not a model file"),
    "cut off": (_archive()[:-30], "damaged"),
    "zip beginning only": (b"PK\x03\x04" + bytes(100), "damaged"),
    "no weights": (
        zip_of([("model.json", b"{}")]), "expected model.json and weights.safetensors",
    ),
    "both kinds of weights": (_archive(extra=[("weights.pt", earlier_weights())]), "it holds"),
    "extra member": (_archive(extra=[("evil.py", b"")]), "evil.py"),
    "path out of the folder": (_archive(extra=[("../../x", b"")]), r"\.\./\.\./x"),
    "bzip2": (_archive(packing=zipfile.ZIP_BZIP2), "damaged"),
    "packed weights": (_archive(packing=zipfile.ZIP_DEFLATED), "are compressed"),
    "card no JSON": (_archive(card=b"{"), "model.json"),
    "card not UTF-8": (_archive(card=b"\xff\xfe{"), "UTF-16"),
    "deep card": (_archive(card=DEEP), "model.json.* is damaged"),
    "card somewhat deep": (_archive(card=b"[" * 300 + b"]" * 300), "levels deep"),
    "large card": (_archive(card=bytes(MAX_CARD_BYTES + 1)), "fill the memory"),
    "false large size": (
        with_false_size(_archive(), "weights.safetensors", MAX_WEIGHTS_BYTES + 1),
        "fill the memory",
    ),
    "false small size": (
        with_false_size(_archive(card=b"{}" + b" " * 500), "model.json", 2), "damaged",
    ),
    "false size": (with_false_size(_archive(card=b"{}"), "model.json", 2000), "damaged"),
    "weights no tensors": (_archive(weights=b"no tensors"), "cut off, or no safetensors"),
    "weights empty": (_archive(weights=b""), "cut off"),
    "header of any length": (
        _archive(weights=struct.pack("<Q", 2**60) + b"{}"), "cut off",
    ),
    "header too long": (
        _archive(weights=struct.pack("<Q", 2**25) + bytes(2**25)), "its header is larger",
    ),
    "header no JSON": (_archive(weights=raw_tensors(b"{")), "the header is damaged"),
    "header no table": (_archive(weights=raw_tensors(b"[]")), "the header must be an object"),
    "header deep": (_archive(weights=raw_tensors(DEEP)), "the header is damaged"),
    "entry no table": (_with_tensors([]), "the header, a must be an object"),
    "unknown type": (_with_tensors(_tensor(dtype="C128")), "unknown type 'C128'"),
    "larger than its bytes": (_with_tensors(_tensor(shape=[10, 101])), "does not match its bytes"),
    "gigantic": (_with_tensors(_tensor(shape=[2**40, 2**40])), "does not match its bytes"),
    "negative": (_with_tensors(_tensor(shape=[-10, -100])), "does not match its bytes"),
    "size no number": (_with_tensors(_tensor(shape=[10, "100"])), "whole number"),
    "size true": (_with_tensors(_tensor(shape=[True, 1000])), "whole number"),
    "beyond the file": (
        _with_tensors(_tensor(shape=[2000], data_offsets=[0, 8000])), "the file holds 4000",
    ),
    "bytes of nobody": (_with_tensors(A_TENSOR, data=bytes(4001)), "the file holds 4001"),
    "gap": (
        _with_tensors(_tensor(data_offsets=[10, 4010]), data=bytes(4010)), "gaps between them",
    ),
    "overlap": (
        _with_tensors(
            _tensor(shape=[500], data_offsets=[0, 2000]),
            _tensor(shape=[600], data_offsets=[1600, 4000]),
        ),
        "overlap",
    ),
    "earlier weights, pickled": (_earlier(pickle.dumps({})), "older form"),
    "earlier weights, bomb": (
        _earlier(zip_of([("a/0", bytes(10_000_000))], zipfile.ZIP_DEFLATED)), "fill the memory",
    ),
    "earlier weights, packed": (
        _earlier(zip_of([("a/0", bytes(10))], zipfile.ZIP_DEFLATED)), "damaged",
    ),
    "earlier weights, path": (_earlier(zip_of([("../x", b"1")])), "outside"),
    "earlier weights, absolute path": (_earlier(zip_of([("/etc/x", b"1")])), "outside"),
    "earlier weights, cut off": (_earlier(zip_of([("a/0", b"1")])[:-10]), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_model_file_is_refused_in_a_sentence(a_path, name):
    data, words = BAD_FILES[name]
    a_path.write_bytes(data)
    with pytest.raises(ModelFileError, match=words) as caught:
        read_model_archive(a_path)
    assert caught.value.remedy
    assert a_path.read_bytes() == data


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_given_twice_is_refused(a_path):
    a_path.write_bytes(_archive(extra=[("model.json", b'{"other": 1}')]))
    with pytest.raises(ModelFileError):
        read_model_archive(a_path)


def test_changed_byte_is_noticed(a_path, weights):
    write_model_archive(a_path, A_CARD, weights)
    data = bytearray(a_path.read_bytes())
    data[data.find(bytes(100)) + 50] = 1  # within the weights
    a_path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        read_model_archive(a_path)


def test_damaged_packed_data_end_in_a_sentence(a_path, weights):
    card = json.dumps({"text": "word " * 1000}).encode()
    with zipfile.ZipFile(a_path, "w") as archive:
        archive.writestr("model.json", card, zipfile.ZIP_DEFLATED)
        archive.writestr("weights.safetensors", weights)
    data = bytearray(a_path.read_bytes())
    begin = 30 + len("model.json")
    data[begin : begin + 8] = b"\xff" * 8  # no packed block begins so
    a_path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        read_model_archive(a_path)


def test_packed_bomb_is_refused_by_its_declared_size(a_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("model.json", "w") as member:
            for _ in range(20):
                member.write(bytes(2**20))
        archive.writestr("weights.safetensors", b"", zipfile.ZIP_STORED)
    a_path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="fill the memory"):
        read_model_archive(a_path)


def test_weights_that_could_not_be_read_back_are_not_written(a_path):
    with pytest.raises(ModelFileError):
        write_model_archive(a_path, A_CARD, b"no tensors")
    assert not a_path.exists()
