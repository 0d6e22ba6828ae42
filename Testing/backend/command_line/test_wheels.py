"""The wheel files for a computer without a network: what is asked of pip, and what is told."""

import json
import subprocess
import zipfile

import pytest

from PseudoLabelCLLib.command_line import wheels
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


def make_wheel(folder, name, *needs):
    """Write the smallest wheel that pip takes."""
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0"]
    metadata += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(
            f"{name}-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


@pytest.mark.parametrize("platform", ["windows", "linux", "mac"])
def test_packages_are_those_that_the_other_system_asks_for(tmp_path, monkeypatch, platform):
    """With a real pip: of itself, it would ask the system that it runs on."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    systems = {"windows": "Windows", "linux": "Linux", "mac": "Darwin"}
    make_wheel(source, "torch", *(f'for_{n}; platform_system == "{s}"' for n, s in systems.items()))
    make_wheel(source, f"for_{platform}")  # those of the other systems are nowhere
    monkeypatch.setattr(wheels, "REQUIREMENTS", [r for r in REQUIREMENTS if r.name == "torch"])
    started = subprocess.Popen

    def without_network(command, **how):
        words = [word.replace("torch>=2.10", "torch") for word in command]
        return started([*words, "--no-index", "--find-links", str(source)], **how)

    monkeypatch.setattr(subprocess, "Popen", without_network)
    assert main(["wheels", str(target), "--slicer", "5.12", "--platform", platform]) == 0
    assert sorted(path.name.split("-")[0] for path in target.iterdir()) == [
        f"for_{platform}", "torch"
    ]  # fmt: skip
