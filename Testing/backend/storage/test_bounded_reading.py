"""Files from others take no more memory or time than they may, whatever they are."""

import json
import time
from pathlib import Path

import pytest

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectInUseError, StorageError
from PseudoLabelCLLib.messages.json_codec import MAX_DEPTH, from_json, parse_json, to_json
from PseudoLabelCLLib.pipeline.learning_curve import CurvePoint, read_learning_curve
from PseudoLabelCLLib.storage.dicom.header import read_dicom_header
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.files import atomic_files
from PseudoLabelCLLib.storage.files.atomic_files import read_json
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.files.regular_files import opened_regular, read_regular
from PseudoLabelCLLib.storage.project.project_lock import project_lock

DEEP = b"[" * 100_000 + b"]" * 100_000
PATIENCE_S = 10.0
ENDLESS = Path("/dev/zero")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 500, 990, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_json_is_damaged_json(depth, opening, closing):
    middle = b"1" if opening.endswith(b":") else b""
    with pytest.raises(ProjectDamagedError, match="is damaged"):
        parse_json(opening * depth + middle + closing * depth, "a file")


def test_json_as_deep_as_is_allowed_can_be_told_of():
    value = parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "a file")
    with pytest.raises(ProjectDamagedError, match="must be an object"):
        from_json(CurvePoint, value, "a file")


def test_field_given_twice_among_very_many_is_found_at_once():
    names = [*range(100_000), 5]
    text = ",".join(f'"{name}":0' for name in names)
    started = time.process_time()
    with pytest.raises(ProjectDamagedError, match="it holds 5 twice"):
        parse_json(f"{{{text}}}".encode(), "a file")
    assert time.process_time() - started < PATIENCE_S


def test_json_file_larger_than_any_of_the_program_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    monkeypatch.setattr(atomic_files, "MAX_JSON_BYTES", 8)
    with pytest.raises(StorageError, match="larger than 8 bytes"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "read", [read_json, read_learning_curve, file_fingerprint, lambda p: read_dicom_header(p, ())]
)
def test_pipe_is_refused_without_waiting(tmp_path, make_pipe, read):
    with pytest.raises(StorageError, match="a pipe or a device"):
        read(make_pipe(tmp_path / "a file"))


def test_pipe_is_no_dicom_file(tmp_path, make_pipe):
    assert not looks_like_dicom(make_pipe(tmp_path / "a.dcm"))


@pytest.mark.skipif(not ENDLESS.exists(), reason="this system has no such device")
def test_device_without_an_end_is_refused():
    with pytest.raises(StorageError, match="a pipe or a device"):
        read_json(ENDLESS)


def test_link_to_a_file_is_read_and_one_to_nowhere_is_told(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "link", 7) == b"content"
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError), opened_regular(tmp_path / "link"):
        pass


def test_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(100))
    monkeypatch.setattr(
        "PseudoLabelCLLib.storage.files.regular_files._require_regular", lambda *_: None
    )
    with pytest.raises(StorageError, match="larger than 50 bytes"):
        read_regular(tmp_path / "a", 50)


def test_folder_is_told(tmp_path):
    with pytest.raises(StorageError, match="is a folder"):
        read_json(tmp_path)


@pytest.mark.parametrize("line", [DEEP, b"\xff\xfe", b"{", b"[]", b'{"step": 1, "step": 2}'])
def test_damaged_learning_curve_is_told_with_its_line(tmp_path, line):
    good = json.dumps(to_json(CurvePoint(1, {"dice": 0.5}))).encode()
    (tmp_path / "curve.jsonl").write_bytes(good + b"\n" + line + b"\n")
    with pytest.raises(ProjectDamagedError, match=r"curve\.jsonl, line 2") as caught:
        read_learning_curve(tmp_path / "curve.jsonl")
    assert caught.value.remedy == "Delete the file."


@pytest.mark.parametrize("text", [DEEP, b"x" * 10_000, b"[]", b"\xff"])
def test_lock_with_any_text_is_told_as_one(tmp_path, text):
    fcntl = pytest.importorskip("fcntl", reason="Windows locks otherwise")
    path = tmp_path / "desk.lock"
    path.write_bytes(text)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ProjectInUseError, match="another process"), project_lock(path, "me"):
            pass
