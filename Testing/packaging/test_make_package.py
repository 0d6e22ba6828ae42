"""The archive for people without a terminal: unpacked, it is one module folder that runs alone."""

import os
import subprocess
import sys
import zipfile

import pytest
from file_lists import REPOSITORY
from make_package import write_package
from setuptools.config.pyprojecttoml import read_configuration

from PseudoLabelCLLib import __version__


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def unpacked(archive, tmp_path):
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "a place with blanks")
    return tmp_path / "a place with blanks" / "PseudoLabelCL"


def test_archive_is_named_after_the_version_and_holds_one_folder(archive):
    assert archive.name == f"PseudoLabelCL-{__version__}.zip"
    with zipfile.ZipFile(archive) as content:
        assert {name.partition("/")[0] for name in content.namelist()} == {"PseudoLabelCL"}


def test_the_same_sources_make_the_same_archive(archive, tmp_path):
    assert write_package(tmp_path).read_bytes() == archive.read_bytes()


def test_folder_holds_one_module_for_slicer_its_parts_and_the_first_steps(unpacked):
    assert [file.name for file in unpacked.glob("*.py")] == ["PseudoLabelCL.py"]
    assert {entry.name for entry in unpacked.iterdir() if entry.name != "PseudoLabelCL.py"} == {
        "FIRST-STEPS.txt", "LICENSE.txt", "PseudoLabelCLGui", "PseudoLabelCLLib", "Resources",
    }  # fmt: skip
    assert "drag the folder PseudoLabelCL" in (unpacked / "FIRST-STEPS.txt").read_text("utf-8")


def test_unpacked_library_runs_without_the_sources(unpacked, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}

    def said_by(*words):
        python = [sys.executable, *words]
        return subprocess.check_output(python, env=environment, cwd=tmp_path, text=True).strip()

    where = said_by("-c", "import PseudoLabelCLLib as library; print(library.__file__)")
    assert where == str(unpacked / "PseudoLabelCLLib" / "__init__.py")
    assert said_by("-m", "PseudoLabelCLLib", "--version").split()[-1] == __version__


def test_wheel_of_the_command_line_holds_no_panel():
    packages = read_configuration(REPOSITORY / "pyproject.toml")["tool"]["setuptools"]["packages"]
    assert {name.partition(".")[0] for name in packages} == {"PseudoLabelCLLib"}
    assert "PseudoLabelCLLib.command_line" in packages
