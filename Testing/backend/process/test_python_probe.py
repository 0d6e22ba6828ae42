"""Whether an interpreter can train, asked of broken installations in real child processes."""

import os
import shutil
import sys
import time

import pytest

from PseudoLabelCLLib.messages.readiness import REQUIREMENTS
from PseudoLabelCLLib.process.line_process import LineProcess
from PseudoLabelCLLib.process.python_probe import STEP_LIMITS_S, probe_python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the fakes use POSIX signals and scripts"),
]
PATIENCE_S = 60.0
WORKING = "class Nothing: pass\n"
# Enough of PyTorch for a convolution of ones with ones; MISTAKE is added to what it computes.
SMALL_TORCH = """
import numpy, sys
MISTAKE = {mistake}
class Array:
    def __init__(self, values): self.values = numpy.asarray(values, dtype=float); self.grad = None
    def detach(self): return self
    def cpu(self): return self
    def numpy(self): return self.values
    def sum(self): return self
    def backward(self): WEIGHTS[0].grad = Array(numpy.full((1, 1, 3, 3), 72.0))
WEIGHTS = []
def ones(shape, device, requires_grad=False):
    refuse(device)
    array = Array(numpy.ones(shape))
    if requires_grad: WEIGHTS[:] = [array]
    return array
def refuse(device):
    {refusal}
class functional:
    @staticmethod
    def conv2d(image, weights): return Array(numpy.full((2, 1, 6, 6), 9.0 + MISTAKE))
class nn: functional = functional
class cuda:
    is_available = staticmethod(lambda: {has_gpu})
    device_count = staticmethod(lambda: 4)
    @staticmethod
    def get_device_properties(index):
        return type("Properties", (), dict(name="A GPU", total_memory=8 * 2**30))()
class mps: is_available = staticmethod(lambda: False)
class backends: mps = mps
"""


def small_torch(*, mistake=0, refusal="pass", has_gpu=False):
    return SMALL_TORCH.format(mistake=mistake, refusal=refusal, has_gpu=has_gpu)


@pytest.fixture
def an_interpreter(tmp_path):
    """Makes an environment in which only the given packages are found, all new enough."""
    folder = tmp_path / "site"

    def make(versions=(), **sources):
        versions = dict(versions)
        for one in REQUIREMENTS:
            source = sources.get(one.module, WORKING)
            if source is None:
                continue
            package = folder / one.module
            package.mkdir(parents=True)
            (package / "__init__.py").write_text(source, encoding="utf-8")
            write_metadata(folder, one.name, versions.get(one.name, one.at_least))
        return {"PYTHONPATH": str(folder)}

    make.folder = folder
    return make


def write_metadata(folder, name, version):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def bare_python(tmp_path):
    """This interpreter, without the packages that are installed beside it."""
    launcher = tmp_path / "python"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    launcher.chmod(0o755)
    return launcher


def reports_of(python, environment, **options):
    probe = probe_python(python, environment, **options)
    reports, deadline = [], time.monotonic() + PATIENCE_S
    try:
        while probe.is_running:
            assert time.monotonic() < deadline, "the probe did not end"
            report = probe.poll()
            if report is not None:
                reports.append(report)
            time.sleep(0.01)
    finally:
        probe.kill()
    return reports


def the_report(python, environment, **options):
    (report,) = reports_of(python, environment, **options)
    return report


def numpy_stand_in():
    """Enough of NumPy for the small PyTorch; the real one is hidden from the bare Python."""
    return """
class Values(list):
    shape = None
    def __eq__(self, other): return Values([value == other for value in self])
    def all(self): return all(self)
def asarray(values, dtype=float): return values
def ones(shape): return Values([1.0])
def full(shape, value): return Values([value])
"""


def test_a_working_interpreter_can_train_and_then_says_how_long_a_round_takes(
    bare_python, an_interpreter
):
    environment = an_interpreter(torch=small_torch(), numpy=numpy_stand_in())
    first, *rest = reports_of(bare_python, environment)
    assert first.problem == ""
    assert first.can_train
    assert (first.device_kind, first.minutes_per_round) == ("cpu", None)
    assert not first.is_complete
    # the stand-ins cannot train, so the time stays unknown, and that is no obstacle
    assert [(report.can_train, report.is_complete) for report in rest] == [(True, True)]
    assert rest[0].minutes_per_round is None


def test_nothing_installed_is_told_by_name(bare_python):
    report = the_report(bare_python, {"PYTHONPATH": ""})
    assert report.missing == tuple(str(one) for one in REQUIREMENTS)
    assert report.broken == ()
    assert report.problem.startswith("Not installed: numpy, SimpleITK")
    assert "PyTorch" in report.problem
    assert report.remedy == "Install the packages that are missing or too old."
    assert report.version == ".".join(str(number) for number in sys.version_info[:3])


BROKEN = {
    "ImportError": (
        "raise ImportError('libtorch.so: cannot open shared object file')",
        "PyTorch is installed but does not work: ImportError: libtorch.so: cannot open",
    ),
    "a DLL": (
        "raise OSError('[WinError 126] The specified module could not be found')",
        "[WinError 126]",
    ),
    "TypeError": ("None + 1", "TypeError"),
    "SystemExit": ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
    "an exit without a word": ("import os; os._exit(0)", "it ended without a word"),
    "an exit code": ("import os; os._exit(7)", "exit code 7"),
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "no files": ("", "its files are not complete"),
}


@pytest.mark.parametrize(("source", "words"), BROKEN.values(), ids=BROKEN)
def test_broken_pytorch_is_told_from_a_missing_one(bare_python, an_interpreter, source, words):
    report = the_report(bare_python, an_interpreter(torch=source))
    assert words in report.problem
    assert report.problem.endswith(".")
    assert report.broken == ("torch",)
    assert report.missing == ("torch>=2.10",)
    assert not report.torch_works
    assert not report.can_train
    assert report.remedy
    # the other packages were looked at all the same
    assert report.packages["scipy"] == "1.11"


def test_missing_runtime_of_windows_is_named(bare_python, an_interpreter):
    source = "raise OSError('[WinError 1114] DLL load failed')"
    assert "Visual C++" in the_report(bare_python, an_interpreter(torch=source)).remedy


def test_folder_that_an_interrupted_installation_left_is_no_pytorch(bare_python, an_interpreter):
    environment = an_interpreter(torch=None)
    (an_interpreter.folder / "torch" / "lib").mkdir(parents=True)
    report = the_report(bare_python, environment)
    assert "its files are not complete" in report.problem
    assert report.broken == ("torch",)


def test_pytorch_that_hangs_is_ended(bare_python, an_interpreter):
    environment = an_interpreter(torch="import time; time.sleep(600)")
    limits = {**STEP_LIMITS_S, "torch": 1.0}
    report = the_report(bare_python, environment, limits_s=limits)
    assert "did not answer within 1 s" in report.problem


def test_pytorch_that_computes_wrong_is_not_trusted(bare_python, an_interpreter):
    environment = an_interpreter(torch=small_torch(mistake=1), numpy=numpy_stand_in())
    report = the_report(bare_python, environment)
    assert "computed a convolution wrong" in report.problem
    assert report.broken == ("torch",)


def test_pytorch_without_a_fitting_numpy_is_told_with_its_remedy(bare_python, an_interpreter):
    refusal = "raise RuntimeError('Numpy is not available')"
    environment = an_interpreter(torch=small_torch(refusal=refusal), numpy=numpy_stand_in())
    report = the_report(bare_python, environment)
    assert "Numpy is not available" in report.problem
    assert "older NumPy" in report.remedy


def test_gpu_that_computes_is_taken_with_its_memory(bare_python, an_interpreter):
    environment = an_interpreter(torch=small_torch(has_gpu=True), numpy=numpy_stand_in())
    report = reports_of(bare_python, environment)[0]
    assert report.device_kind == "cuda"
    assert report.device == "A GPU, 8 GB"
    assert report.device_memory_bytes == 8 * 2**30
    assert report.num_gpus == 4


def test_gpu_without_a_kernel_falls_back_to_the_cpu_and_says_why(bare_python, an_interpreter):
    refusal = "if device == 'cuda': raise RuntimeError('no kernel image is available')"
    environment = an_interpreter(
        torch=small_torch(has_gpu=True, refusal=refusal), numpy=numpy_stand_in()
    )
    report = reports_of(bare_python, environment)[0]
    assert report.device_kind == "cpu"
    assert "no kernel image is available" in report.device_reason
    assert report.can_train


def test_a_package_that_crashes_does_not_hide_the_others(bare_python, an_interpreter):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    environment = an_interpreter(torch=small_torch(), numpy=numpy_stand_in(), scipy=crash, PIL=None)
    report = the_report(bare_python, environment)
    assert set(report.missing) == {"scipy>=1.11", "pillow>=10"}
    assert report.broken == ("scipy",)
    assert report.packages["pydicom"] == "3.0.1"
    assert report.torch_works


def test_too_old_packages_are_told_with_both_versions(bare_python, an_interpreter):
    environment = an_interpreter(
        {"monai": "1.3.2", "torch": "2.10.0+cpu"}, torch=small_torch(), numpy=numpy_stand_in()
    )
    report = the_report(bare_python, environment)
    assert report.problem == "monai: version 1.3.2 is too old, 1.4 or later is needed."
    assert report.broken == ()


def test_talk_of_packages_goes_to_the_log_and_is_no_finding(bare_python, an_interpreter):
    talk = "print('@probe not json'); print('@probe [1]'); print('hello ' + 'ä')\n"
    environment = an_interpreter(torch=talk + small_torch(), numpy=numpy_stand_in())
    report = reports_of(bare_python, environment)[0]
    assert report.can_train
    assert "hello ä" in report.log


@pytest.mark.parametrize(
    ("program", "words"),
    [("/no/such/python", "cannot be started"), (shutil.which("true"), "does not answer as Python")],
)
def test_what_is_no_python_is_told(program, words):
    report = the_report(program, {})
    assert words in report.problem
    assert "Choose another interpreter" in report.remedy
    assert not report.can_train


def test_python_that_is_too_old_is_told(tmp_path):
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\necho \'@probe {"version": "3.9.18"}\'\n')
    old.chmod(0o755)
    report = the_report(old, {})
    assert report.problem == "Python 3.9.18 is too old: 3.10 or later is needed."


def test_free_disk_is_that_of_the_place_where_the_project_will_be(bare_python, tmp_path):
    report = the_report(bare_python, {"PYTHONPATH": ""}, folder=tmp_path / "not" / "there")
    free = shutil.disk_usage(tmp_path).free
    # other programs write meanwhile
    assert abs(report.free_disk_bytes - free) < 2**30
    assert report.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_probe_that_is_killed_says_nothing_more(bare_python, an_interpreter):
    probe = probe_python(bare_python, an_interpreter(torch="import time; time.sleep(600)"))
    probe.poll()
    probe.kill()
    assert not probe.is_running
    assert probe.poll() is None


def test_polling_never_waits(bare_python, an_interpreter):
    probe = probe_python(bare_python, an_interpreter(numpy="import time; time.sleep(600)"))
    started = time.monotonic()
    for _ in range(100):
        probe.poll()
    # starting a child takes some ms; waiting for it would take minutes
    assert time.monotonic() - started < 5.0
    probe.kill()


def test_lines_of_a_child_are_heard_once_and_before_its_end():
    child = LineProcess.start([sys.executable, "-c", "print('a\\nb'); raise SystemExit(3)"], {})
    lines, deadline = [], time.monotonic() + PATIENCE_S
    while child.exit_code is None and time.monotonic() < deadline:
        lines += child.poll(num_lines=1)
        time.sleep(0.01)
    assert (lines, child.exit_code) == (["a", "b"], 3)
    assert child.poll() == []


@pytest.mark.long
def test_installed_packages_of_this_interpreter_are_enough_to_train():
    report = reports_of(sys.executable, {}, limits_s={**STEP_LIMITS_S, "speed": 0.0})[0]
    assert report.problem == ""
    assert report.can_train
    assert report.device_kind in {"cuda", "mps", "cpu"}
