"""What a person sees when PyTorch is missing or broken: before training, and when it begins."""

import sys
import time

import mistreated_projects as projects
import pytest
from PseudoLabelCLGui.panel_state import Light
from real_panel import RealPanel

from PseudoLabelCLLib.process.python_probe import probe_python

pytestmark = pytest.mark.slow

FAULTS = {
    "missing": "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
    "broken": "raise ImportError('libtorch_cpu.so: undefined symbol: _ZN2at4_ops')",
}


@pytest.fixture(params=FAULTS)
def a_panel_without_torch(request, app, answers, tmp_path):
    """The panel, believing that all is well, over an interpreter whose PyTorch does not load."""
    package = tmp_path / "site" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAULTS[request.param], encoding="utf-8")
    panel = RealPanel(answers, {"PYTHONPATH": str(package.parent)})
    panel.fault = request.param
    yield panel
    panel.close()


def probed(panel):
    """Look at the interpreter in a child, as the panel does."""
    probe = probe_python(sys.executable, panel.packages.environment)
    end = time.monotonic() + projects.PATIENCE_S
    while probe.is_running:
        assert time.monotonic() < end
        if (report := probe.poll()) is not None:
            panel.presenter.readiness.found(report)
        panel.run_for(0.02)
    panel.tick()


def test_the_panel_opens_shows_the_project_and_says_why_it_cannot_train(
    a_panel_without_torch, tmp_path
):
    panel = a_panel_without_torch
    panel.open(projects.in_review(tmp_path))
    panel.until(lambda state: len(state.review.queue) == 2)
    probed(panel)
    readiness = panel.state.readiness
    assert readiness.light is Light.RED
    assert "PyTorch" in readiness.sentence, readiness
    assert readiness.install.enabled
    train = panel.widget("trainButton")
    assert not train.isEnabled()
    assert train.toolTip(), "it does not say why"
    panel.choose("queueTable", 0)
    panel.click("showCaseButton")
    panel.until(lambda _state: panel.is_shown("other-2"))
    panel.click("acceptButton")  # reviewing needs no PyTorch
    panel.until(lambda _state: panel.is_shown("other-1"))


def test_a_pytorch_that_breaks_later_is_told_when_training_begins(a_panel_without_torch, tmp_path):
    panel = a_panel_without_torch
    panel.open(projects.untrained(tmp_path))
    panel.until(lambda state: state.train.train.enabled)
    panel.click("trainButton")
    panel.until(lambda state: state.message.light is Light.RED, fault=True)
    text, remedy, button = panel.said
    assert text.startswith("A Python package that the job needs cannot be loaded: ")
    assert "torch" in text
    assert "that shows what is missing or broken and can install it." in remedy
    assert button == "Check this computer again"
    num_looks = len(panel.packages.probed)
    panel.click("messageButton")
    assert len(panel.packages.probed) == num_looks + 1
