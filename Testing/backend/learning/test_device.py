"""The device is chosen by running a step on it, and says why."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from learning_doubles import CPU, HALF_CPU, make_network

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import DeviceError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning import device as device_module
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.pipeline.training_device import as_the_settings_ask
from PseudoLabelCLLib.storage.files.own_seals import STATE_VARIABLE


@pytest.fixture(autouse=True)
def a_computer_on_which_nothing_was_tried(monkeypatch, tmp_path):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def the_same_number_of_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def a_machine_with_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device_module, "_describe", lambda name: f"the {name}")


def trial(monkeypatch, *, plain_s, half_s, broken=(), slower_in_rows=1.0):
    def fake(name, *, half_precision, channels_last=None):
        if name in broken:
            raise RuntimeError("driver too old\nmore lines")
        own_s = half_s if half_precision else plain_s
        return own_s * (slower_in_rows if channels_last is False else 1.0)

    monkeypatch.setattr(device_module, "_time_trial_step", fake)


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_processor_really_runs_a_step_and_says_why_it_was_chosen():
    device = choose_device("auto")
    assert device.name == "cpu"
    assert "no usable NVIDIA GPU" in device.reason
    assert "a trial step ran on it" in device.sentence


@pytest.mark.usefixtures("a_machine_without_a_gpu")
@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_absent_device_is_refused_by_name(name):
    with pytest.raises(DeviceError, match=name):
        choose_device(name)


@pytest.mark.usefixtures("a_machine_with_a_gpu")
def test_working_gpu_comes_first(monkeypatch):
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    device = choose_device("auto")
    assert device.name == "cuda"
    assert device.half_precision
    assert "2.0 times as fast" in device.reason


@pytest.mark.usefixtures("a_machine_with_a_gpu")
@pytest.mark.parametrize("half_s", [1.0, 2.0])
@pytest.mark.parametrize(("slower", "wanted"), [(1.5, True), (0.7, False)])
def test_gpu_uses_the_layout_that_is_faster_in_its_precision(monkeypatch, half_s, slower, wanted):
    trial(monkeypatch, plain_s=2.0, half_s=half_s, slower_in_rows=slower)
    formats = {True: torch.channels_last, False: torch.contiguous_format}
    for _ in range(2):  # the second time it is known
        device = choose_device("cuda")
        assert device.half_precision is (half_s == 1.0)
        assert device.memory_format is formats[wanted]
        monkeypatch.setattr(device_module, "_use_once", lambda _: None)


@pytest.mark.usefixtures("a_machine_with_a_gpu")
def test_gpu_that_fails_its_trial_step_is_passed_over_and_named(monkeypatch):
    trial(monkeypatch, plain_s=1.0, half_s=1.0, broken=("cuda",))
    device = choose_device("auto")
    assert device.name == "cpu"
    assert "driver too old" in device.reason
    assert "more lines" not in device.reason


@pytest.mark.usefixtures("a_machine_with_a_gpu")
def test_nothing_that_works_is_an_error_with_every_reason(monkeypatch):
    trial(monkeypatch, plain_s=1.0, half_s=1.0, broken=("cuda", "cpu"))
    with pytest.raises(DeviceError, match=r"cuda: .*mps: .*cpu: "):
        choose_device("auto")


@pytest.mark.usefixtures("a_machine_without_a_gpu")
@pytest.mark.parametrize(("half_s", "gains"), [(1.0, False), (0.9, False), (0.5, True)])
def test_half_precision_is_used_only_where_it_gains(monkeypatch, half_s, gains):
    trial(monkeypatch, plain_s=1.0, half_s=half_s)
    assert choose_device("cpu").half_precision is gains


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_a_cpu_computes_3d_in_float32_whatever_the_trial_in_2d_says(monkeypatch):
    trial(monkeypatch, plain_s=1.0, half_s=0.5)
    device = choose_device("cpu")
    assert device.for_dimension(2) is device
    assert not device.for_dimension(3).half_precision
    assert "float32" in device.for_dimension(3).reason
    gpu = replace(device, name="cuda")
    assert gpu.for_dimension(3).half_precision


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_settings_can_ask_for_float32_whatever_the_trial_says(monkeypatch):
    trial(monkeypatch, plain_s=1.0, half_s=0.5)
    device = choose_device("cpu")
    paper, quick = (config_for(profile) for profile in (Profile.PAPER, Profile.QUICK))
    asked = as_the_settings_ask(device, paper)
    assert not asked.half_precision
    assert asked.memory_format is torch.contiguous_format
    assert "settings ask for float32" in asked.reason
    assert as_the_settings_ask(device, quick) is device


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_apple_gpu_that_fails_in_3d_leaves_3d_to_the_cpu_and_is_named(monkeypatch):
    trial(monkeypatch, plain_s=1.0, half_s=1.0)
    apple = replace(choose_device("cpu"), name="mps")

    def fail(_):
        raise RuntimeError("ConvTranspose 3D is not supported on MPS")

    monkeypatch.setattr(device_module, "_step_in_3d", fail)
    assert apple.for_dimension(2) is apple
    chosen = apple.for_dimension(3)
    assert chosen.name == "cpu"
    assert "mps: in 3-D a trial step failed (ConvTranspose 3D is not supported" in chosen.sentence
    monkeypatch.setattr(device_module, "_step_in_3d", lambda _: None)
    assert apple.for_dimension(3) is apple


def test_trial_step_in_3d_runs_and_notices_a_gradient_that_is_no_number(monkeypatch):
    device_module._step_in_3d(CPU)
    loss = device_module.segmentation_loss
    monkeypatch.setattr(
        device_module, "segmentation_loss", lambda *a, **k: loss(*a, **k) * float("nan")
    )
    with pytest.raises(RuntimeError, match="not finite"):
        device_module._step_in_3d(CPU)


@pytest.mark.usefixtures("a_machine_with_a_gpu")
def test_trial_of_a_gpu_by_an_earlier_version_is_made_anew(monkeypatch):
    """Those small slices told how fast work is handed out, and refused half precision."""
    monkeypatch.setattr(device_module, "_use_once", lambda _: None)
    device_module.keep_trial(device_module.DeviceTrial("the cuda", torch.__version__, 0.9))
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    assert choose_device("cuda").half_precision
    trial(monkeypatch, plain_s=1.0, half_s=1.0)
    assert choose_device("cuda").half_precision  # known now


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_what_was_tried_is_known_to_the_next_command_and_measured_again_where_asked(monkeypatch):
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    assert choose_device("cpu").half_precision
    trial(monkeypatch, plain_s=1.0, half_s=1.0)  # on a busy machine, say
    known = choose_device("cpu")
    assert known.half_precision
    assert "2.0 times as fast" in known.reason
    assert not choose_device("cpu", anew=True).half_precision
    assert not choose_device("cpu").half_precision


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_another_torch_is_tried_anew(monkeypatch):
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    choose_device("cpu")
    monkeypatch.setattr(torch, "__version__", "3.0")
    trial(monkeypatch, plain_s=1.0, half_s=1.0)
    assert not choose_device("cpu").half_precision


@pytest.mark.usefixtures("a_machine_with_a_gpu")
def test_gpu_that_ran_a_step_once_and_fails_now_is_passed_over(monkeypatch):
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    assert choose_device("auto").name == "cuda"

    def fails(name):
        raise RuntimeError(f"no {name} today")

    monkeypatch.setattr(device_module, "_use_once", fails)
    device = choose_device("auto")
    assert device.name == "cpu"
    assert "no cuda today" in device.reason


@pytest.mark.usefixtures("a_machine_without_a_gpu")
@pytest.mark.parametrize("content", ["{", "[]", '{"trials": [{"device": 1}]}'])
def test_damaged_memory_of_trials_is_replaced(monkeypatch, tmp_path, content):
    file = tmp_path / "state" / "devices.json"
    file.parent.mkdir()
    file.write_text(content)
    trial(monkeypatch, plain_s=2.0, half_s=1.0)
    assert choose_device("cpu").half_precision
    trial(monkeypatch, plain_s=1.0, half_s=1.0)
    assert choose_device("cpu").half_precision


@pytest.mark.usefixtures("a_machine_without_a_gpu")
def test_computer_that_keeps_nothing_tries_every_time(monkeypatch, tmp_path):
    (tmp_path / "state").write_text("a file in the place of the folder")
    for half_s, gains in ((1.0, True), (2.0, False)):
        trial(monkeypatch, plain_s=2.0, half_s=half_s)
        assert choose_device("cpu").half_precision is gains


@pytest.mark.parametrize(("device", "dtype"), [(CPU, torch.float32), (HALF_CPU, torch.bfloat16)])
def test_precision_decides_the_type_of_convolutions_but_not_of_weights(device, dtype):
    network = make_network()
    device.place(network)
    with device.autocast():
        logits = network(torch.rand(1, 1, 32, 64))
    assert logits.dtype == dtype
    assert network.classifier.weight.dtype == torch.float32


def test_half_precision_goes_with_channels_last_weights():
    network = make_network()
    HALF_CPU.place(network)
    weight = network.backbone.encoder[1][0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert ComputeDevice("cpu", "", Text(""), half_precision=False).memory_format is (
        torch.contiguous_format
    )


def test_one_core_stays_free_where_there_are_more_than_two(monkeypatch):
    used = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    for cores in (1, 2, 3, 8):
        monkeypatch.setattr(
            device_module.os,
            "sched_getaffinity",
            lambda _pid, n=cores: set(range(n)),
            raising=False,
        )
        device_module.choose_number_of_threads()
    assert used == [1, 2, 2, 7]


def test_number_of_threads_that_the_environment_asks_for_counts():
    code = (
        "import torch\n"
        "from PseudoLabelCLLib.learning.device import choose_number_of_threads\n"
        "choose_number_of_threads()\n"
        "print(torch.get_num_threads())"
    )
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    assert int(subprocess.check_output(command, env=one_thread)) == 1
