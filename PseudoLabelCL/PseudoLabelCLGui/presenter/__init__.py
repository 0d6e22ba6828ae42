"""The presenter: what is enabled, shown and said, in plain Python."""

from PseudoLabelCLGui.presenter.ports import Desk, Listeners, SceneFiles, Worker
from PseudoLabelCLGui.presenter.presenter import Presenter
from PseudoLabelCLGui.presenter.projects import new_volumes

__all__ = ["Desk", "Listeners", "Presenter", "SceneFiles", "Worker", "new_volumes"]
