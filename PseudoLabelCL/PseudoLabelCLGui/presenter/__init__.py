"""The presenter: what is enabled, shown and said, in plain Python."""

from PseudoLabelCLGui.presenter.cases.finding import new_volumes
from PseudoLabelCLGui.presenter.facts.use_facts import ExportChoices
from PseudoLabelCLGui.presenter.ports import Listeners, SceneFiles, Service, Worker
from PseudoLabelCLGui.presenter.presenter import Presenter

__all__ = [
    "ExportChoices",
    "Listeners",
    "Presenter",
    "SceneFiles",
    "Service",
    "Worker",
    "new_volumes",
]
