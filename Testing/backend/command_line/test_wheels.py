"""The wheel files for a computer without a network: what is asked of pip, and what is told."""

import json
import subprocess

import pytest

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.messages.readiness import REQUIREMENTS


class Pip:
    """What pip would say and leave, without a network."""

    def __init__(self, command, **_how):
        self.__class__.command = command
        self.stdout = iter(self.lines)
        self.returncode = self.code
        for name in self.files:
            (self.__class__.folder / name).touch()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None


@pytest.fixture
def pip(monkeypatch, tmp_path):
    kind = type(
        "APip", (Pip,), {"lines": ["Saved it"], "code": 0, "files": ["torch-2.13.0-cp312.whl"]}
    )
    kind.folder = tmp_path / "wheels"
    monkeypatch.setattr(subprocess, "Popen", kind)
    return kind


def test_wheels_are_those_of_slicers_python_and_of_the_system_there(pip, capsys):
    arguments = ["wheels", str(pip.folder), "--slicer", "5.12", "--platform", "windows", "--json"]
    assert main(arguments) == 0
    words = pip.command
    assert words[words.index("--python-version") + 1] == "3.12"
    assert words[words.index("--platform") + 1] == "win_amd64"
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert words[words.index("--dest") + 1] == str(pip.folder)
    assert words[-len(REQUIREMENTS) :] == [f"{one.name}>={one.at_least}" for one in REQUIREMENTS]
    told = json.loads(capsys.readouterr().out)
    assert told == {"folder": str(pip.folder), "files": ["torch-2.13.0-cp312.whl"]}


def test_what_to_do_with_the_folder_is_told(pip, capsys):
    assert main(["wheels", str(pip.folder)]) == 0
    told = capsys.readouterr().out
    assert "1 wheel file for Slicer 5.12" in told
    assert "choose it there as the folder of wheel files to install from" in told


def test_what_pip_could_not_get_is_told_in_its_words(pip, capsys):
    pip.lines, pip.code = ["Collecting torch", "ERROR: No matching distribution found"], 1
    assert main(["wheels", str(pip.folder)]) == 1
    assert "No matching distribution found" in capsys.readouterr().err
