"""Fingerprints follow the content alone."""

import hashlib

import pytest

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint


def test_fingerprint_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    expected = hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert file_fingerprint(tmp_path / "a") == f"sha256:{expected}"


def test_folder_keeps_its_fingerprint_when_files_are_renamed_and_loses_it_when_changed(tmp_path):
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / name).write_text(name)
    before = file_fingerprint(tmp_path)
    (tmp_path / "1.dcm").rename(tmp_path / "9.dcm")
    (tmp_path / ".DS_Store").write_text("x")
    assert file_fingerprint(tmp_path) == before
    (tmp_path / "2.dcm").write_text("other")
    assert file_fingerprint(tmp_path) != before


def test_missing_file_is_told(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        file_fingerprint(tmp_path / "none")
