"""Which Python the panel uses, and how it gets what it lacks, with a real pip where one runs."""

import importlib
import os
import subprocess
import sys
import time
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PseudoLabelCLGui.packages.installation import InstallError
from PseudoLabelCLGui.packages.pip_problems import explain_pip_failure
from PseudoLabelCLGui.packages.python_packages import (
    PYTHON_SETTING,
    WHEELS_SETTING,
    PythonPackages,
    slicers_python,
    support_text,
)

from PseudoLabelCLLib.messages.readiness import ReadinessReport

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are POSIX scripts")
PATIENCE_S = 60.0
ALL_MISSING = ReadinessReport(
    python="", packages={"numpy": "2.2.6", "SimpleITK": "2.5.7", "torch": None},
    missing=("safetensors>=0.5", "torch>=2.10"),
)  # fmt: skip


class AnApplication:
    """Slicer as far as it is asked for something; remembers what it was asked."""

    def __init__(self):
        self.settings, self.environment = {}, {}
        self.callbacks, self.statuses, self.asked = [], [], []
        self.has_torch_extension = True
        self.torch_error = None
        self.pip_exit_code = 0

    def setting(self, key):
        return self.settings.get(key, "")

    def startup_environment(self):
        return self.environment

    def show_status(self, text):
        self.statuses.append(text)

    def start_timer(self, interval_ms, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def torch_installer(self):
        def install(version_range):
            self.asked.append(f"extension: torch{version_range}")
            if self.torch_error:
                raise self.torch_error

        return install if self.has_torch_extension else None

    def pip_installer(self):
        def install(requirements, constraints, on_line, on_end):
            self.asked.append(f"Slicer's pip: {' '.join(requirements)}")
            self.constraints = constraints
            self.kept = constraints.read_text("utf-8").splitlines()
            on_line("Collecting safetensors")
            on_end(self.pip_exit_code)

        return install

    def run_until_idle(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.callbacks:
            assert time.monotonic() < deadline, "the timer never ended"
            self.callbacks[0]()
            time.sleep(0.01)


@pytest.fixture
def an_application():
    return AnApplication()


@pytest.fixture
def packages(an_application):
    made = PythonPackages(an_application)
    yield made
    made.stop()


@pytest.fixture
def slicers_own(tmp_path, monkeypatch):
    """A PythonSlicer on the path, as in the application; here it is no Python at all."""
    program = tmp_path / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture
def a_wheel_folder(tmp_path):
    """A folder with a wheel of a made-up safetensors."""
    folder = tmp_path / "wheels ä"
    folder.mkdir()
    info = "safetensors-9.0.dist-info"
    with zipfile.ZipFile(folder / "safetensors-9.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("safetensors/__init__.py", "")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: safetensors\nVersion: 9.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def install(packages, application, report):
    """Everything that is heard of an installation; the last of it."""
    steps = []
    packages.install(report, steps.append)
    application.run_until_idle()
    assert steps[-1].is_done
    assert not any(step.is_done for step in steps[:-1])
    return steps


def test_chosen_interpreter_comes_before_slicers_own(packages, an_application, slicers_own):
    assert packages.default_python() == slicers_own
    an_application.settings[PYTHON_SETTING] = "/opt/python"
    assert packages.default_python() == Path("/opt/python")


def test_slicers_python_is_found_beside_the_application(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "SlicerApp-real"))
    beside = tmp_path / "PythonSlicer"
    beside.write_text("")
    assert slicers_python() == beside


def test_slicers_python_keeps_slicers_environment(packages, an_application, slicers_own):
    an_application.environment = {"PATH": "/before"}
    environment = packages.child_environment(slicers_own)
    assert environment == {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def test_foreign_python_starts_although_slicer_leads_it_astray(
    packages, an_application, slicers_own, monkeypatch
):
    an_application.environment = {"PATH": "/before/slicer"}
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/no/such/folder")
    environment = packages.child_environment(Path(sys.executable))
    code = "import os, sys; print(os.environ['PATH'], sys.prefix, '/no/such/folder' in sys.path)"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert child.stdout.split() == ["/before/slicer", sys.prefix, "False"]


def test_virtual_environment_is_not_taken_for_the_python_it_links_to(
    packages, an_application, slicers_own, tmp_path
):
    link = tmp_path / "python"
    link.symlink_to(slicers_own)
    an_application.environment = {"A": "1"}
    assert packages.child_environment(link)["A"] == "1"


def test_probe_reports_and_then_the_timer_rests(packages, an_application):
    reports = []
    packages.probe(reports.append, python=Path("/no/such/python"))
    an_application.run_until_idle()
    (report,) = reports
    assert "cannot be started" in report.problem
    assert an_application.callbacks == []


def test_question_says_what_how_much_and_that_slicer_waits(packages, slicers_own):
    missing = packages.what_is_missing(replace(ALL_MISSING, python=str(slicers_own)))
    assert missing.names == ALL_MISSING.missing
    assert "3 GB" in missing.size
    assert "torch>=2.10" in missing.question
    assert "Slicer will not respond" in missing.question
    assert missing.obstacle == ""


def test_without_the_pytorch_extension_the_way_to_it_is_told(packages, an_application, slicers_own):
    an_application.has_torch_extension = False
    report = replace(ALL_MISSING, python=str(slicers_own))
    assert "Extensions Manager" in packages.what_is_missing(report).obstacle
    steps = install(packages, an_application, report)
    assert "Extensions Manager" in steps[-1].remedy
    assert an_application.asked == []


def test_nothing_missing_asks_nothing(packages):
    missing = packages.what_is_missing(ReadinessReport(python=sys.executable))
    assert (missing.names, missing.obstacle) == ((), "")


def test_pytorch_comes_first_through_the_extension_then_the_others_beside_what_is_there(
    packages, an_application, slicers_own
):
    report = replace(ALL_MISSING, python=str(slicers_own))
    steps = install(packages, an_application, report)
    assert an_application.asked == ["extension: torch>=2.10", "Slicer's pip: safetensors>=0.5"]
    # what Slicer and other extensions work with must not be replaced
    assert an_application.kept == ["numpy==2.2.6", "SimpleITK==2.5.7"]
    assert not an_application.constraints.exists()
    assert steps[-1].problem == ""
    assert "Collecting safetensors" in steps[-1].log
    assert "Collecting safetensors" in an_application.statuses


def test_that_slicer_will_not_answer_is_shown_before_it_stops_answering(
    packages, an_application, slicers_own
):
    steps = install(packages, an_application, replace(ALL_MISSING, python=str(slicers_own)))
    assert "Slicer will not respond" in steps[0].text


def test_extension_that_fails_is_told_and_nothing_else_is_installed(
    packages, an_application, slicers_own
):
    an_application.torch_error = InstallError("It failed.", "Do that.")
    report = replace(ALL_MISSING, python=str(slicers_own))
    steps = install(packages, an_application, report)
    assert (steps[-1].problem, steps[-1].remedy) == ("It failed.", "Do that.")
    assert an_application.asked == ["extension: torch>=2.10"]


def test_wheel_folder_is_installed_from_without_a_network(
    packages, an_application, slicers_own, a_wheel_folder, tmp_path
):
    an_application.settings[WHEELS_SETTING] = str(a_wheel_folder)
    an_application.environment = {"PIP_TARGET": str(tmp_path / "site"), "PATH": os.environ["PATH"]}
    report = replace(ALL_MISSING, python=sys.executable, missing=("safetensors>=0.5",))
    steps = install(packages, an_application, report)
    assert steps[-1].problem == ""
    assert (tmp_path / "site" / "safetensors-9.0.dist-info").is_dir()
    assert an_application.asked == []


def test_wheel_folder_without_the_wheel_is_told_with_the_remedy(
    packages, an_application, slicers_own, a_wheel_folder, tmp_path
):
    an_application.settings[WHEELS_SETTING] = str(a_wheel_folder)
    an_application.environment = {"PIP_TARGET": str(tmp_path / "site"), "PATH": os.environ["PATH"]}
    report = replace(ALL_MISSING, python=sys.executable, missing=("no-such-package-here>=1",))
    steps = install(packages, an_application, report)
    assert steps[-1].problem == "No version of a package is available for this Python."
    assert "folder of wheel files" in steps[-1].remedy
    assert "no-such-package-here" in steps[-1].log


def test_interpreter_that_vanished_is_told(packages, an_application):
    report = replace(ALL_MISSING, python="/no/such/python", missing=("safetensors>=0.5",))
    steps = install(packages, an_application, report)
    assert "cannot be started" in steps[-1].problem


def test_second_click_while_something_is_installed_does_nothing(
    packages, an_application, slicers_own
):
    report = replace(ALL_MISSING, python=str(slicers_own))
    packages.install(report, lambda progress: None)
    packages.install(report, lambda progress: None)
    an_application.run_until_idle()
    assert an_application.asked.count("extension: torch>=2.10") == 1


FAILURES = {
    "long path": ("[WinError 206] The filename or extension is too long", "LongPathsEnabled"),
    "disk": ("ERROR: Could not install: [Errno 28] No space left on device", "Free some space"),
    "in use": ("ERROR: [WinError 5] Access is denied: 'torch\\lib\\c10.dll'", "Restart Slicer"),
    "TLS": ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "global.cert"),
    "proxy": ("ProxyError('Cannot connect to proxy.', OSError('407 Proxy'))", "global.proxy"),
    "network": (
        "Failed to establish a new connection: getaddrinfo failed",
        "network",
    ),
    "conflict": ("ERROR: ResolutionImpossible: for help visit", "another Python interpreter"),
    "no pip": ("python: No module named pip", "ensurepip"),
}


@pytest.mark.parametrize(("line", "remedy"), FAILURES.values(), ids=FAILURES)
def test_failure_of_pip_becomes_a_sentence_with_a_remedy(line, remedy):
    message, told = explain_pip_failure(["Collecting torch", line])
    assert message.endswith(".")
    assert remedy in told


def test_failure_that_nobody_foresaw_shows_pips_own_words():
    message, remedy = explain_pip_failure(["Collecting x", "ERROR: a new kind of error", "bye"])
    assert "ERROR: a new kind of error" in message
    assert "report" in remedy


def test_support_text_does_not_name_the_user():
    home = str(Path.home())
    report = ReadinessReport(python=f"{home}/python", log=f"File {home}/site/torch")
    assert home not in support_text(report)
    assert "~/site/torch" in support_text(report)


@pytest.fixture
def slicer_application(monkeypatch):
    """The class that talks to Slicer, with stand-ins for the modules that only Slicer has."""
    slicer, qt = types.ModuleType("slicer"), types.ModuleType("qt")
    slicer.app = types.SimpleNamespace(testingEnabled=lambda: False)
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.delitem(sys.modules, "PseudoLabelCLGui.slicer_application", raising=False)
    yield importlib.import_module("PseudoLabelCLGui.slicer_application")
    sys.modules.pop("PseudoLabelCLGui.slicer_application", None)


def add_torch_extension(monkeypatch, install_torch):
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = type(
        "PyTorchUtilsLogic", (), {"installTorch": staticmethod(install_torch)}
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)


def test_extension_of_any_version_gets_only_the_arguments_it_knows(slicer_application, monkeypatch):
    calls = []

    def old(askConfirmation=True):  # noqa: N803 - the extension's name
        calls.append({"askConfirmation": askConfirmation})
        return "torch"

    def new(askConfirmation=False, torchVersionRequirement=None):  # noqa: N803 - as above
        calls.append({"ask": askConfirmation, "range": torchVersionRequirement})
        return "torch"

    for install_torch in (old, new):
        add_torch_extension(monkeypatch, install_torch)
        slicer_application.SlicerApplication().torch_installer()(">=2.4")
    assert calls == [{"askConfirmation": False}, {"ask": False, "range": ">=2.4"}]


def test_extension_that_fails_or_gives_up_is_told(slicer_application, monkeypatch):
    def fail():
        raise subprocess.CalledProcessError(1, "ltt")

    for install_torch in (fail, lambda: None):
        add_torch_extension(monkeypatch, install_torch)
        with pytest.raises(InstallError, match="The PyTorch extension"):
            slicer_application.SlicerApplication().torch_installer()(">=2.4")


def test_slicer_without_the_extension_or_without_packaging_offers_neither(slicer_application):
    application = slicer_application.SlicerApplication()
    assert application.torch_installer() is None
    assert application.pip_installer() is None


def test_slicers_installer_is_asked_not_to_block(slicer_application, monkeypatch, tmp_path):
    asked = {}
    packaging = types.ModuleType("slicer.packaging")
    packaging.pip_install = lambda requirements, **options: asked.update(options)
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    slicer_application.SlicerApplication().pip_installer()(["x>=1"], tmp_path, print, print)
    assert asked["blocking"] is False
    assert asked["constraints"] == tmp_path
