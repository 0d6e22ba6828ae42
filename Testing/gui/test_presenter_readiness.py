"""Readiness: one sentence about this computer, and what is missing."""

from a_presenter import Stage
from presenter_fakes import Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.facts.facts import Facts

from PseudoLabelCLLib.messages.jobs import ALL_GPUS, DeviceChoice
from PseudoLabelCLLib.messages.readiness import ReadinessReport

GPU = ReadinessReport(
    "python", "3.12.1", {"torch": "2.6.0"}, torch_works=True,
    device="NVIDIA RTX 4070, 8 GB", device_kind="cuda", free_disk_bytes=200 * 10**9,
)  # fmt: skip


def found(**changes) -> Stage:
    stage = Stage(Disk())
    stage.presenter.readiness.found(ReadinessReport(**(vars(GPU) | changes)))
    return stage


def test_nothing_is_claimed_before_the_first_look():
    stage = Stage(Disk())
    assert stage.state.readiness.light is Light.NONE
    stage.presenter.readiness.probe()
    assert stage.heard == [("on_probe_wanted", "")]
    assert stage.state.readiness.light is Light.WORKING
    assert stage.state.readiness.probe.tool_tip == "Checking this computer..."


def test_a_graphics_card_is_green_with_its_name_and_the_free_disk():
    readiness = found().state.readiness
    assert readiness.light is Light.GREEN
    assert readiness.sentence == "NVIDIA RTX 4070, 8 GB, 200 GB free"
    assert readiness.install.tool_tip == "Nothing is missing."


def test_a_cpu_is_no_warning_and_comes_with_its_minutes_per_round():
    readiness = found(device_kind="cpu", device="Ryzen", minutes_per_round=45.2).state.readiness
    assert readiness.light is Light.GREEN
    assert not any("slow" in line for line in readiness.details)
    readiness = found(device_kind="cpu", device="Ryzen", minutes_per_round=6.2).state.readiness
    assert readiness.sentence.startswith("CPU: about 6 min per round")


def test_a_disk_that_is_nearly_full_is_amber():
    readiness = found(free_disk_bytes=10**9).state.readiness
    assert readiness.light is Light.AMBER
    assert "1.0 GB free" in readiness.sentence


def test_what_is_missing_is_red_named_and_its_size_is_told():
    stage = found(torch_works=False, missing=("torch>=2.4", "monai>=1.4"))
    readiness = stage.state.readiness
    assert readiness.light is Light.RED
    assert "torch>=2.4, monai>=1.4" in readiness.sentence
    assert readiness.install.enabled
    assert "2.7 GB" in readiness.install.tool_tip
    assert found(missing=("scipy>=1.11",)).state.readiness.install.tool_tip.count("40 MB") == 1


def test_a_problem_is_said_with_its_remedy():
    readiness = found(problem="PyTorch computes wrongly.", remedy="Install it again.")
    assert readiness.state.readiness.sentence == "PyTorch computes wrongly. Install it again."


def test_another_interpreter_is_looked_at_at_once():
    stage = Stage(Disk())
    stage.presenter.readiness.set_python("/opt/python3")
    assert stage.heard == [("on_probe_wanted", "/opt/python3")]
    assert stage.state.readiness.python == "/opt/python3"


def test_a_report_that_is_not_complete_is_shown_and_the_next_one_replaces_it():
    stage = found(device_kind="cpu", is_complete=False)
    assert "min per round" not in stage.state.readiness.sentence
    stage.presenter.readiness.found(
        ReadinessReport(**(vars(GPU) | {"device_kind": "cpu", "minutes_per_round": 0.4}))
    )
    assert "less than a minute per round" in stage.state.readiness.sentence


def processes(most_gpus=0, device=DeviceChoice.AUTO, num_gpus=4):
    report = ReadinessReport(**(vars(GPU) | {"num_gpus": num_gpus}))
    return Facts(readiness=report, most_gpus=most_gpus, device=device).processes


def test_several_gpus_are_used_by_themselves_and_the_line_says_so():
    readiness = found(num_gpus=4).state.readiness
    assert readiness.sentence.startswith("4 GPUs share the work: NVIDIA RTX 4070")
    assert "GPUs: 4, of which 4 are used." in readiness.details
    assert processes() == ALL_GPUS


def test_fewer_gpus_are_used_where_a_person_chose_so():
    stage = found(num_gpus=4)
    stage.presenter.readiness.set_most_gpus(3)
    assert stage.state.readiness.sentence.startswith("3 GPUs share the work")
    assert "GPUs: 4, of which 3 are used." in stage.state.readiness.details
    assert processes(most_gpus=3) == 3
    assert processes(most_gpus=9) == ALL_GPUS


def test_one_gpu_is_no_choice_and_is_shown_as_ever():
    assert found(num_gpus=1).state.readiness.sentence == "NVIDIA RTX 4070, 8 GB, 200 GB free"
    assert processes(num_gpus=1, most_gpus=3) == ALL_GPUS


def test_choice_of_gpus_starts_no_processes_on_the_cpu():
    assert processes(most_gpus=2, device=DeviceChoice.CPU) == ALL_GPUS
