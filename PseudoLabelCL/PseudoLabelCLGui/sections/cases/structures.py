"""The structures of the project, shown and changed in Slicer's own table of segments."""

from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import keep_out_of_lists, labels_of, terminology_text
from PseudoLabelCLGui.panel_state import CasesState, Light, PanelState
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showUsable
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.segmentation import DEFAULT_COLORS, LabelClass, LabelSchema

_NODE_NAME = "PseudoLabelCL structures"


class StructuresSection(Section):
    """The table of structures.

    A segmentation without voxels, hidden from every other list, carries their names, colours and
    terminology, so that Slicer's own dialogs for them can be used.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._labels: tuple[LabelClass, ...] = ()
        self._node: Any = None
        self._observer: int | None = None
        self._hasChanged = False
        self._whyNoEdit = ""
        ui = self.ui
        buttons = (ui.addStructureButton, ui.removeStructureButton, ui.takeStructuresButton)
        self._buttons = tuple((button, button.toolTip) for button in buttons)
        self.connect(self.ui.addStructureButton, "clicked()", self._onAdd)
        self.connect(self.ui.removeStructureButton, "clicked()", self._onRemove)
        self.connect(self.ui.takeStructuresButton, "clicked()", self._onTake)

    def show(self, state: PanelState) -> None:
        """Show the structures if they differ from what is shown."""
        cases = state.cases
        if cases.labels != self._labels or (cases.labels and self._node is None):
            self._labels = cases.labels
            self._rebuild()
        self._whyNoEdit = "" if cases.add.enabled else cases.add.tool_tip
        reason = self._whyNoEdit or _whySettled(cases)
        for button, tip in self._buttons:
            showUsable(button, reason, tip)

    def tick(self) -> None:
        """Tell the presenter what was changed in the table since the last look."""
        if self._hasChanged and self._node is not None:
            self._hasChanged = False
            self.guard(self._tellChanges)

    def sceneClosed(self) -> None:
        """Forget a node that was removed; the next look makes a new one."""
        self._forgetNode()

    def cleanUp(self) -> None:
        """Remove the node."""
        super().cleanUp()
        node = self._node
        self._forgetNode()
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)

    def _rebuild(self) -> None:
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            self._makeNode()
        self._ignoreChanges()
        segmentation = self._node.GetSegmentation()
        segmentation.RemoveAllSegments()
        for label in self._labels:
            segment = slicer.vtkSegment()
            segment.SetName(label.name)
            segment.SetColor(*label.rgb)
            if label.terminology is not None:
                text = terminology_text(label.terminology)
                segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
            segmentation.AddSegment(segment, label.segment_id)
        self.ui.structuresTable.setSegmentationNode(self._node)
        self._watchChanges()

    def _makeNode(self) -> None:
        self._forgetNode()
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(_NODE_NAME)
        node.SetSaveWithScene(False)
        self._node = slicer.mrmlScene.AddNode(node)
        keep_out_of_lists(self._node)  # in the scene only: Slicer complains of others
        self._node.CreateDefaultDisplayNodes()
        self._node.GetDisplayNode().SetSaveWithScene(False)

    def _watchChanges(self) -> None:
        segmentation = self._node.GetSegmentation()
        self._observer = segmentation.AddObserver(
            slicer.vtkSegmentation.SegmentModified, self._onModified
        )

    def _ignoreChanges(self) -> None:
        if self._observer is not None and self._node is not None:
            self._node.GetSegmentation().RemoveObserver(self._observer)
        self._observer = None
        self._hasChanged = False

    def _forgetNode(self) -> None:
        self._ignoreChanges()
        self.ui.structuresTable.setSegmentationNode(None)
        self._node = None

    def _onModified(self, _caller: Any, _event: str) -> None:
        self._hasChanged = True

    def _tellChanges(self) -> None:
        """Ask for what was changed in the table; what cannot be is put back as it was."""
        if self._whyNoEdit:
            self._rebuild()
            self.tell(Light.AMBER, self._whyNoEdit, _("The structures are unchanged."))
            return
        try:
            self._change(labels_of(self._node))
        except PseudoLabelCLError:
            self._rebuild()
            raise

    def _onAdd(self) -> None:
        number = len(self._labels) + 1
        color = DEFAULT_COLORS[(number - 1) % len(DEFAULT_COLORS)]
        name = _("structure {number}").format(number=number)
        self._change((*self._labels, LabelClass(self._freeValue(), name, color)))

    def _onRemove(self) -> None:
        chosen = set(self.ui.structuresTable.selectedSegmentIDs())
        kept = tuple(label for label in self._labels if label.segment_id not in chosen)
        if not chosen:
            self.tell(Light.AMBER, _("Choose the structure to remove in the table of structures."))
        elif not kept:
            self.tell(Light.AMBER, _("A project needs at least one structure: add another first."))
        else:
            self._change(kept)

    def _onTake(self) -> None:
        node = self.ui.segmentationSelector.currentNode()
        if node is None:
            text = _(
                "Choose the segmentation under 'Add volumes' first; its segments become "
                "the structures."
            )
            self.tell(Light.AMBER, text)
        else:
            self._change(labels_of(node))

    def _change(self, labels: tuple[LabelClass, ...]) -> None:
        """Ask for other structures; those that were there keep their values in files."""
        values = {label.segment_id: label for label in self._labels}
        free = self._freeValue()
        changed = []
        for label in labels:
            known = values.get(label.segment_id)
            value = known.value if known else free
            free += 0 if known else 1
            keeps = known.keep_largest_component if known else None
            changed.append(
                LabelClass(
                    value, label.name, label.color, label.terminology, label.segment_id, keeps
                )
            )
        if tuple(changed) != self._labels:
            self.presenter.cases.change_labels(LabelSchema(tuple(changed)))

    def _freeValue(self) -> int:
        return max((label.value for label in self._labels), default=0) + 1


def _whySettled(cases: CasesState) -> str:
    settled = _("A round has been trained: structures can be renamed, but not added or removed")
    return settled if cases.labels_are_settled else ""
