"""The module as Slicer finds it; the panel itself is in PseudoLabelCLGui."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import getContext, translate
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_FOLDER = Path(__file__).resolve().parent
_OWN_PACKAGES = ("PseudoLabelCLGui", "PseudoLabelCLLib")


class PseudoLabelCL(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        findLibrary()
        parent.title = _("PseudoLabelCL")
        # Slicer looks for it beside this file only, where it lies once the module is installed
        parent.icon = qt.QIcon(PseudoLabelCLWidget.resourcePath("Icons/PseudoLabelCL.png"))
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "SegmentEditor", "Plots"]
        parent.contributors = ["The PseudoLabelCL contributors"]
        parent.helpText = _(
            "Segment one or two volumes, add others, train on this computer, and review what the "
            "network proposes before every round. A research tool, not for clinical use."
        )
        parent.acknowledgementText = _(
            "After Chaitanya et al., Local contrastive loss with pseudo-label based "
            "self-training, Medical Image Analysis 2023."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


class PseudoLabelCLWidget(ScriptedLoadableModuleWidget):
    """Hands every call of Slicer to the panel."""

    def setup(self) -> None:
        """Build the panel, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from PseudoLabelCLGui.panel import Panel  # noqa: PLC0415 - start-up shall stay quick
        from PseudoLabelCLGui.translation import use_translator  # noqa: PLC0415 - as above

        use_translator(getContext, translate)
        self.panel = Panel(self, self.resourcePath)
        self.panel.setUp()

    def enter(self) -> None:
        """The module is shown."""
        self.panel.enter()

    def exit(self) -> None:
        """Another module is shown."""
        self.panel.exit()

    def cleanup(self) -> None:
        """The module goes away; a running training saves and stops."""
        self.panel.cleanUp()

    def onReload(self) -> None:
        """Load the module again with everything that it is made of."""
        self.panel.onReload()
        for name in [name for name in sys.modules if name.partition(".")[0] in _OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    @staticmethod
    def resourcePath(filename: str) -> str:
        """Return where a file of Resources lies: beside this file once installed, else above it."""
        places = [folder / "Resources" / filename for folder in (_FOLDER, _FOLDER.parent)]
        return str(next((place for place in places if place.exists()), places[0]))


class PseudoLabelCLLogic(ScriptedLoadableModuleLogic):
    """Slicer looks for it; the work is done by the presenter and its children."""


class PseudoLabelCLTest(ScriptedLoadableModuleTest):
    """The whole loop on phantoms, in the running Slicer, without a network."""

    def runTest(self, *, python: str = "", **_options: object) -> None:
        """Run the self-test; `python` names another interpreter that has PyTorch."""
        from PseudoLabelCLGui.self_test.run import run  # noqa: PLC0415 - needed by tests only

        slicer.mrmlScene.Clear()
        run(self.delayDisplay, python=python)


def findLibrary() -> None:
    """Let Python find PseudoLabelCLLib: beside this file once installed, else above it."""
    if importlib.util.find_spec("PseudoLabelCLLib") is None:
        sys.path.append(str(_FOLDER.parent))


def registerSampleData() -> None:
    """Offer the phantoms in the module Sample Data; they are made here, not downloaded."""
    from SampleData import SampleDataLogic  # noqa: PLC0415 - another module, loaded after this one

    SampleDataLogic.registerCustomSampleDataSource(
        category="PseudoLabelCL",
        sampleName="PseudoLabelCLPhantoms",
        uris="",  # nothing is downloaded, but Slicer counts the fields
        fileNames="",
        thumbnailFileName=PseudoLabelCLWidget.resourcePath("Icons/PseudoLabelCLPhantoms.png"),
        customDownloader=makeSampleProject,
    )


def makeSampleProject(_source: object) -> None:
    """Open the module and let it make a project from phantoms."""
    slicer.util.selectModule("PseudoLabelCL")
    slicer.modules.PseudoLabelCLWidget.panel.makeSampleProject()
