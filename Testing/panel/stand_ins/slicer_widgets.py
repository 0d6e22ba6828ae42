"""Slicer's own widgets as far as the panel needs them, over real MRML."""

# ruff: noqa: N801, N802, N815 - the names are Slicer's and Qt's

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from stand_ins.plot_widget import qMRMLPlotWidget
from stand_ins.scene_widget import SceneWidget as _SceneWidget


class qMRMLWidget(_SceneWidget):
    """The top of a module's panel."""


class qMRMLNodeComboBox(_SceneWidget):
    """A choice of nodes."""

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox()
        self._combo.setMinimumContentsLength(6)
        self._combo.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._combo.currentIndexChanged.connect(
            lambda _index: self.currentNodeChanged.emit(self.currentNode())
        )
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._values = {
            "nodeTypes": [], "noneEnabled": False, "addEnabled": True, "removeEnabled": True,
            "renameEnabled": False, "editEnabled": False, "noneDisplay": "None",
            "showHidden": False, "showChildNodeTypes": True, "selectNodeUponCreation": True,
        }  # fmt: skip
        self.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )
        self._hidden: list[tuple[str, str]] = []

    def _property(name: str, kind: Any) -> Any:  # noqa: N805 - used while the class is made
        def write(self: Any, value: Any) -> None:
            self._values[name] = value
            self._onScene(None, "")

        return QtCore.Property(kind, lambda self: self._values[name], write)

    nodeTypes = _property("nodeTypes", "QStringList")
    noneEnabled = _property("noneEnabled", bool)
    addEnabled = _property("addEnabled", bool)
    removeEnabled = _property("removeEnabled", bool)
    renameEnabled = _property("renameEnabled", bool)
    editEnabled = _property("editEnabled", bool)
    noneDisplay = _property("noneDisplay", str)
    showHidden = _property("showHidden", bool)
    showChildNodeTypes = _property("showChildNodeTypes", bool)
    selectNodeUponCreation = _property("selectNodeUponCreation", bool)

    def currentNode(self) -> Any:
        node_id = self._combo.currentData()
        return self._scene.GetNodeByID(node_id) if node_id and self._scene else None

    def setCurrentNode(self, node: Any) -> None:
        index = self._combo.findData(node.GetID()) if node is not None else 0
        self._combo.setCurrentIndex(index)

    def nodeCount(self) -> int:
        return len(self._nodes())

    def _nodes(self) -> list[Any]:
        nodes = []
        for kind in self._values["nodeTypes"] if self._scene else ():
            collection = self._scene.GetNodesByClass(kind)
            collection.UnRegister(None)
            nodes += [collection.GetItemAsObject(n) for n in range(collection.GetNumberOfItems())]
        return [node for node in nodes if not node.GetHideFromEditors()]

    def _onScene(self, _caller: Any, _event: str) -> None:
        kept = self._combo.currentData()
        self._combo.blockSignals(True)
        self._combo.clear()
        if self._values["noneEnabled"]:
            self._combo.addItem(self._values["noneDisplay"], None)
        for node in self._nodes():
            self._combo.addItem(node.GetName(), node.GetID())
        index = self._combo.findData(kept) if kept else 0
        self._combo.setCurrentIndex(max(index, 0) if self._combo.count() else -1)
        self._combo.blockSignals(False)
        if self._combo.currentData() != kept:
            self.currentNodeChanged.emit(self.currentNode())


class _SegmentTable(QtWidgets.QTableWidget):
    """Rows of colour and name of the segments of a node."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.horizontalHeader().setVisible(False)
        self.verticalHeader().setVisible(False)
        self.horizontalHeader().setStretchLastSection(True)
        self.setColumnWidth(0, 26)

    def fill(self, node: Any) -> None:
        segmentation = node.GetSegmentation() if node is not None else None
        count = segmentation.GetNumberOfSegments() if segmentation else 0
        self.setRowCount(count)
        for row in range(count):
            segment = segmentation.GetNthSegment(row)
            colour = QtWidgets.QTableWidgetItem()
            colour.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self.setItem(row, 0, colour)
            self.setItem(row, 1, QtWidgets.QTableWidgetItem(segment.GetName()))
            self.setRowHeight(row, 22)


class qMRMLSegmentsTableView(_SceneWidget):
    """The table of segments; a name is changed by editing it, as in Slicer."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._table = _SegmentTable()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)

    for _name in (
        "visibilityColumnVisible",
        "opacityColumnVisible",
        "statusColumnVisible",
        "readOnly",
    ):
        locals()[_name] = QtCore.Property(bool, lambda _self: True, lambda _self, _value: None)

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node
        self._table.fill(node)

    def segmentationNode(self) -> Any:
        return self._node

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return [self._node.GetSegmentation().GetNthSegmentID(row) for row in rows]


EFFECTS = (
    "None", "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices",
    "Threshold", "Margin", "Hollow", "Smoothing", "Scissors", "Islands", "Logical operators",
    "Mask volume",
)  # fmt: skip


def _named(name: str, layout: QtWidgets.QLayout) -> QtWidgets.QFrame:
    """Return a frame as the real editor names it."""
    frame = QtWidgets.QFrame()
    frame.setObjectName(name)
    frame.setLayout(layout)
    return frame


class qMRMLSegmentEditorWidget(_SceneWidget):
    """The Segment Editor: as large as the real one, and it remembers what it was told."""

    segmentationNodeChanged = QtCore.Signal(object)
    currentSegmentIDChanged = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.calls: list[tuple[Any, ...]] = []
        self._node: Any = None
        self._volume: Any = None
        self._editor_node: Any = None
        self._effect = ""
        self._segment_id = ""
        self._table = _SegmentTable()
        self._table.setMinimumHeight(196)
        self._tools = QtWidgets.QGridLayout()
        self._tools.setSpacing(2)
        self._buttons = [QtWidgets.QToolButton(text=name[:2]) for name in EFFECTS]
        for name, button in zip(EFFECTS, self._buttons, strict=True):
            button.setToolTip(name)
            button.setMinimumSize(32, 31)
        self._place_tools(2)
        left, right = QtWidgets.QVBoxLayout(), QtWidgets.QVBoxLayout()
        left.addWidget(_named("EffectsGroupBox", self._tools))
        undo = QtWidgets.QHBoxLayout()
        for text in ("Undo", "Redo"):
            undo.addWidget(QtWidgets.QToolButton(text=text))
        left.addWidget(_named("UndoRedoGroupBox", undo))
        left.addStretch(1)
        show_3d = QtWidgets.QPushButton("Show 3D")
        show_3d.setObjectName("Show3DButton")
        right.addWidget(show_3d)
        right.addWidget(self._table, 1)
        # the options of a tool, and what it may change, are shown while it is in use
        self._options = QtWidgets.QGroupBox("Options")
        self._options.setMinimumSize(373, 218)
        self._options.hide()
        right.addWidget(self._options)
        layout = QtWidgets.QHBoxLayout(self)
        layout.addLayout(left)
        layout.addLayout(right, 1)

    def _place_tools(self, columns: int) -> None:
        for n, button in enumerate(self._buttons):
            self._tools.addWidget(button, n // columns, n % columns)

    for _name in ("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible",
                  "switchToSegmentationsButtonVisible", "addRemoveSegmentButtonsVisible",
                  "specifyGeometryButtonVisible", "show3DButtonVisible", "undoEnabled",
                  "readOnly"):  # fmt: skip
        locals()[_name] = QtCore.Property(bool, lambda _self: True, lambda _self, _value: None)
    maximumNumberOfUndoStates = QtCore.Property(int, lambda _self: 10, lambda _self, _value: None)
    effectColumnCount = QtCore.Property(int, lambda _self: 2, _place_tools)

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._editor_node = node

    def mrmlSegmentEditorNode(self) -> Any:
        return self._editor_node

    def setSegmentationNode(self, node: Any) -> None:
        if node is not None and self._editor_node is None:
            raise AssertionError("set the segment editor node first")
        if node is None and self._volume is not None:
            raise AssertionError("SetSourceVolumeNode: take the volume away first")
        if node is self._node:
            return
        self._node = node
        if node is not None:  # Slicer takes the reference volume at once, and reads its range
            role = node.GetReferenceImageGeometryReferenceRole()
            self._volume = node.GetNodeReference(role)
        self._segment_id = ""
        if node is not None and node.GetSegmentation().GetNumberOfSegments():
            self._segment_id = node.GetSegmentation().GetNthSegmentID(0)
        self._table.fill(node)
        self.calls.append(("setSegmentationNode", node.GetName() if node else None))

    def segmentationNode(self) -> Any:
        return self._node

    def setSourceVolumeNode(self, node: Any) -> None:
        if node is not None and self._node is None:
            raise AssertionError("set the segmentation first")
        self._volume = node
        self.calls.append(("setSourceVolumeNode", node.GetName() if node else None))

    def sourceVolumeNode(self) -> Any:
        return self._volume

    def currentSegmentID(self) -> str:
        return self._segment_id

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._segment_id = segment_id

    def setActiveEffectByName(self, name: str) -> None:
        self._effect = name
        self._options.setVisible(bool(name))
        self.calls.append(("setActiveEffectByName", name))

    def setActiveEffect(self, effect: Any) -> None:
        self._effect = effect
        self._options.setVisible(bool(effect))
        self.calls.append(("setActiveEffect", effect))

    def activeEffect(self) -> Any:
        return self._effect or None

    def installKeyboardShortcuts(self, parent: QtWidgets.QWidget | None = None) -> None:
        if parent is None and slicer.util.mainWindow() is None:
            raise AssertionError("QShortcut: No widget parent defined")
        self.calls.append(("installKeyboardShortcuts", parent))

    def __getattr__(self, name: str) -> Any:
        if name not in {
            "uninstallKeyboardShortcuts", "setupViewObservations",
            "removeViewObservations", "saveStateForUndo", "undo", "redo", "jumpSlices",
            "rotateSliceViewsToSegmentation", "setEffectNameOrder",
        }:  # fmt: skip
            raise AttributeError(name)
        return lambda *arguments: self.calls.append((name, *arguments))


CLASSES = {"qMRMLPlotWidget": qMRMLPlotWidget} | {
    name: value for name, value in dict(globals()).items() if name.startswith("qMRML")
}  # fmt: skip
