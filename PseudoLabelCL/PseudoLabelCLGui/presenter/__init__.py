"""The presenter: what is enabled, shown and said, in plain Python."""

from PseudoLabelCLGui.presenter.export_facts import ExportChoices
from PseudoLabelCLGui.presenter.finding import new_volumes
from PseudoLabelCLGui.presenter.ports import Desk, Listeners, SceneFiles, Worker
from PseudoLabelCLGui.presenter.presenter import Presenter

__all__ = ["Desk", "ExportChoices", "Listeners", "Presenter", "SceneFiles", "Worker", "new_volumes"]
