"""Files are whole or absent, whatever happens while they are written."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, StorageError, VolumeError
from PseudoLabelCLLib.storage.files.atomic_files import (
    TEMPORARY_PREFIX,
    read_json,
    remove_leftovers,
    write_bytes,
    write_json,
    write_text,
    write_texts,
    written_aside,
)


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_written_file_holds_what_was_written(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    write_text(path, "Größe\r\n")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\r\n"
    write_bytes(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert names_in(path.parent) == ["a.txt"]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("patient 1.2 x.seg.nrrd", ".seg.nrrd"),
        ("scan.v2.nii.gz", ".nii.gz"),
        ("SCAN.NII.GZ", ".NII.GZ"),
        ("a.b.json", ".json"),
        ("lock", ""),
    ],
)
def test_temporary_file_lies_beside_and_keeps_the_whole_suffix(tmp_path, name, suffix):
    with written_aside(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(suffix)
        assert not temporary.name.endswith("x.seg.nrrd" if suffix == ".seg.nrrd" else "v2.nii.gz")
        temporary.write_bytes(b"x")
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("failure", [VolumeError("no"), KeyboardInterrupt(), ValueError("no")])
def test_failure_while_writing_keeps_the_old_file(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with written_aside(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "access is denied"),
        (errno.ENOENT, "does not exist"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_disk_refuses_is_told_in_a_sentence(tmp_path, number, words):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with written_aside(path) as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(StorageError, match=words) as caught:
        fail()
    assert caught.value.remedy
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_deleted_project_does_not_come_back_as_a_torso(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        write_text(tmp_path / "deleted" / "rounds" / "a.txt", "x")
    assert names_in(tmp_path) == []


def test_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(StorageError, match="folder"):
        write_text(tmp_path / "folder" / "a.txt", "x")
    assert (tmp_path / "folder").read_text() == "a file"


def test_folder_in_place_of_the_file_is_told(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(StorageError):
        write_text(tmp_path / "a.txt", "x")
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="access is denied"):
            write_text(tmp_path / "a.txt", "x")
    finally:
        tmp_path.chmod(0o700)


def test_full_disk_is_told_and_leaves_nothing(tmp_path):
    """/dev/full refuses every byte as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def fail():
        with written_aside(tmp_path / "a.txt") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_bytes(b"x" * 10)

    with pytest.raises(StorageError, match="full"):
        fail()
    assert names_in(tmp_path) == []


def test_text_that_is_no_unicode_is_refused(tmp_path):
    with pytest.raises(StorageError, match="Unicode"):
        write_text(tmp_path / "a.txt", "name \udcff.nii")
    assert names_in(tmp_path) == []


def _json_values():
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]))
    )
    names = st.text(st.characters(exclude_categories=["Cs"]))
    return st.recursive(leaves, lambda v: st.lists(v) | st.dictionaries(names, v), max_leaves=8)


@given(_json_values())
def test_any_json_comes_back_as_it_went(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1"),
        (b'{"a": 1', "line 1"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1, "a": 2}', "twice"),
        ('{"a": "ä"}'.encode("latin-1"), "UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        (b"[" * 100_000, "damaged"),
        (b"\x00" * 64, "line 1"),
    ],
)
def test_damaged_json_is_told(tmp_path, data, words):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(ProjectDamagedError, match=words):
        read_json(path)


def test_byte_order_mark_of_an_editor_does_no_harm(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_missing_json_is_told(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        read_json(tmp_path / "a.json")


_ENDLESS_WRITER = """
import sys
from pathlib import Path
from PseudoLabelCLLib.storage.files.atomic_files import write_text
for n in range(10**9):
    write_text(Path(sys.argv[1]), f"{n % 10}" * 200_000)
    if n == 0:
        print("started", flush=True)
"""


def test_text_in_parts_is_written_as_one(tmp_path):
    write_texts(tmp_path / "a.html", (f"{n} é\n" for n in range(3)))
    assert (tmp_path / "a.html").read_bytes() == "0 é\n1 é\n2 é\n".encode()


def test_text_whose_parts_end_early_leaves_the_old_file(tmp_path):
    def parts():
        yield "new"
        raise ZeroDivisionError

    (tmp_path / "a.html").write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_texts(tmp_path / "a.html", parts())
    with pytest.raises(StorageError, match="not valid Unicode"):
        write_texts(tmp_path / "a.html", ("new", "\udc80"))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.html", "old")]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_writer_leaves_a_whole_file_and_its_leftovers_can_be_removed(tmp_path):
    path = tmp_path / "a.txt"
    for delay_s in (0.0, 0.003, 0.007, 0.011, 0.02):
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS_WRITER, str(path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as writer:
            writer.stdout.readline()
            time.sleep(delay_s)
            writer.send_signal(signal.SIGKILL)
        text = path.read_text()
        assert len(text) == 200_000
        assert len(set(text)) == 1
        remove_leftovers(tmp_path)
        assert names_in(tmp_path) == ["a.txt"]


def test_leftovers_of_living_writers_and_other_files_stay(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("x")
    with written_aside(tmp_path / "deep" / "b.txt") as temporary:
        temporary.write_text("x")
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert names_in(tmp_path / "deep") == ["a.txt", "b.txt"]


def test_leftovers_of_another_machine_go_after_a_day(tmp_path):
    fresh, old = (tmp_path / f"{TEMPORARY_PREFIX}00000000-1-{n}.json" for n in (1, 2))
    for file in (fresh, old):
        file.write_text("x")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    remove_leftovers(tmp_path)
    assert fresh.exists()
    assert not old.exists()
