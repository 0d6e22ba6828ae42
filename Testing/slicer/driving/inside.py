"""Given to Slicer with --python-script: answers questions from the outside, on the main thread.

A question is a JSON file in the folder PSEUDOLABELCL_TOUR: the name of a function of `Answers` and
its arguments. The answer is written beside it. Nothing here presses a button: the mouse does.
"""

import json
import os
import time
import traceback
from pathlib import Path

import numpy as np
import qt
import slicer
import vtk

FOLDER = Path(os.environ["PSEUDOLABELCL_TOUR"])
LOOK_EVERY_MS = 20
GAP_EVERY_MS = 10


class Gaps:
    """How long the event loop stood still, seen by a timer of 10 ms."""

    def __init__(self):
        self.gaps_s = []
        self.last_s = time.monotonic()
        self.timer = qt.QTimer()
        self.timer.setInterval(GAP_EVERY_MS)
        self.timer.connect("timeout()", self.tick)
        self.timer.start()

    def tick(self):
        now_s = time.monotonic()
        self.gaps_s.append(now_s - self.last_s)
        self.last_s = now_s

    def take(self):
        """Return what was seen since the last call, and forget it."""
        gaps_s, self.gaps_s = self.gaps_s, []
        return gaps_s


class Answers:
    """What can be asked; positions are pixels of the screen."""

    def __init__(self):
        self.gaps = Gaps()

    # --- the panel

    def open_module(self):
        slicer.util.selectModule("PseudoLabelCL")

    def place(self, name, x=0.5, y=0.5):
        widget = _widget(name)
        _scroll_to(widget)
        return _on_screen(widget, qt.QPoint(int(widget.width * x), int(widget.height * y)))

    def row_place(self, table, row, column=0):
        table = _widget(table)
        _scroll_to(table)
        item = table.item(row, column)
        table.scrollToItem(item)
        rect = table.visualItemRect(item)
        # the left part of a cell, so that a wide one is hit where its text begins
        point = qt.QPoint(rect.left() + min(20, rect.width() // 2), rect.center().y())
        return _on_screen(table.viewport(), point)

    def list_place(self, name, row):
        widget = _widget(name)
        _scroll_to(widget)
        return _on_screen(widget.viewport(), widget.visualItemRect(widget.item(row)).center())

    # What a mouse chooses from a list that opens: made as Qt makes it after the click.

    def choose_index(self, name, index):
        combo = _widget(name)
        combo.setCurrentIndex(index)
        combo.activated(index)

    def choose_text(self, name, text):
        self.choose_index(name, _widget(name).findText(text))

    def choose_node(self, name, class_name):
        _widget(name).setCurrentNode(slicer.util.getNodesByClass(class_name)[-1])

    def set_path(self, name, path):
        _widget(name).setCurrentPath(path)

    def format_index(self, words):
        combo = _widget("exportFormatCombo")
        return next(n for n in range(combo.count) if words in combo.itemText(n))

    def mark_volume(self, name, text):
        """Mark the line of a volume in a list with boxes."""
        widget = _widget(name)
        for row in range(widget.count):
            item = widget.item(row)
            item.setCheckState(qt.Qt.Checked if item.text().startswith(text) else qt.Qt.Unchecked)

    def menu_place(self, text):
        """Where an entry of the open menu is, the innermost one first."""
        for menu in reversed([w for w in qt.QApplication.topLevelWidgets() if _is_open_menu(w)]):
            for action in menu.actions():
                if action.text.replace("&", "") == text:
                    return _on_screen(menu, menu.actionGeometry(action).center())
        return None

    def facts(self, name):
        """What a widget says: text, whether it can be used, whether it is seen, where it is."""
        widget = _widget(name)
        return {
            "text": str(getattr(widget, "text", "") or ""),
            "enabled": bool(widget.enabled),
            "visible": bool(widget.visible),
            "in_sight": _is_in_sight(widget),
            "tool_tip": str(widget.toolTip),
        }

    def rows(self, table):
        table = _widget(table)
        columns = range(table.columnCount)
        return [
            [
                table.item(row, column).text() if table.item(row, column) else ""
                for column in columns
            ]
            for row in range(table.rowCount)
        ]

    def state(self):
        state = _panel().presenter.state
        review = state.review
        return {
            "message": [state.message.light.value, state.message.text, state.message.remedy],
            "answers": [answer.text for answer in state.message.answers],
            "root": state.project.root,
            "cases": [[row.case_id, row.role.value, row.cells[2]] for row in state.cases.rows],
            "changes": bool(_panel().presenter._core.facts.changing),
            "trains": state.train.is_running,
            "can_train": state.train.train.enabled,
            "rounds": [row.index for row in state.rounds.rows],
            "queue": [[row.case_id, row.verdict] for row in review.queue],
            "case": review.case_id,
            "is_loading": review.is_loading,
            "identity": None
            if review.identity is None
            else [
                review.identity.case_id,
                review.identity.round_index,
                review.identity.fingerprint,
            ],
            "accept": [review.accept.text, review.accept.enabled],
            "extents": [choice.text for choice in review.extents],
            "model": state.use.model,
            "use_results": list(state.use.results),
            "uses": state.use.is_running,
            "exports": state.export.is_running,
            "export_results": [line.text for line in state.export.results],
        }

    def use_python(self, python):
        """Name the interpreter that has PyTorch, as one does once in a clinic."""
        _panel().ui.pythonPathEdit.setCurrentPath(python)

    def change_setting(self, name, value):
        _panel().presenter.train.change_setting(name, value)

    def overlaps(self):
        """Name what covers something else in the panel, or is smaller than it needs to be."""
        return list(_layout_faults(_panel().top))

    # --- the scene

    def load_volume(self, file):
        return slicer.util.loadVolume(file).GetID()

    def load_annotated(self, image, segmentation):
        """Load a volume and what was drawn on it, as from the day before."""
        volume = slicer.util.loadVolume(image)
        node = slicer.util.loadSegmentation(segmentation)
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        return [volume.GetName(), node.GetName()]

    def delete_shown_volume(self):
        slicer.mrmlScene.RemoveNode(_edited()[1])

    def has_brush(self):
        return _panel().ui.segmentEditor.activeEffect() is not None

    def segmentations_seen(self):
        """Names of the segmentations that are drawn in some view."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [
            node.GetName()
            for node in nodes
            if node.GetDisplayNode() is not None
            and node.GetDisplayNode().GetVisibility()
            and node.GetDisplayNode().GetVisibility2D()
        ]

    def volume_seen(self):
        composite = _composite("Red")
        node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        return node.GetName() if node else ""

    def node_counts(self):
        counts = {}
        for number in range(slicer.mrmlScene.GetNumberOfNodes()):
            name = slicer.mrmlScene.GetNthNode(number).GetClassName()
            counts[name] = counts.get(name, 0) + 1
        return counts

    def voxels_shown(self):
        """The proposal in the editor as it is on the screen, see `_voxels`."""
        node, volume = _edited()
        return None if node is None or volume is None else _voxels(node, volume)

    def voxels_of(self, segmentation_name, volume_name):
        """The same of a segmentation of the scene."""
        node = slicer.util.getFirstNodeByName(segmentation_name, "vtkMRMLSegmentationNode")
        volume = slicer.util.getFirstNodeByName(volume_name, "vtkMRMLScalarVolumeNode")
        return None if node is None or volume is None else _voxels(node, volume)

    def slice_with_most(self):
        """Let the shown slice be the one that has most of the edited segmentation."""
        node, volume = _edited()
        segmentation = node.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        arrays = [slicer.util.arrayFromSegmentBinaryLabelmap(node, i, volume) for i in ids]
        per_slice = sum((array > 0).sum(axis=(1, 2)) for array in arrays)
        k = int(np.argmax(per_slice))
        size = volume.GetImageData().GetDimensions()
        ras = _to_ras(volume, [[size[0] / 2, size[1] / 2, k]])[0]
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras)
        return k

    def view_place(self, view, x, y):
        """A point of a slice view: 0..1 from left to right and from top to bottom."""
        widget = slicer.app.layoutManager().sliceWidget(view).sliceView()
        return _on_screen(widget, qt.QPoint(int(widget.width * x), int(widget.height * y)))

    # --- dialogs

    def dialog(self):
        """Title and buttons of the dialog that waits for an answer, or None."""
        dialog = qt.QApplication.activeModalWidget()
        if dialog is None:
            return None
        buttons = [b.text.replace("&", "") for b in _buttons(dialog)]
        return {"title": dialog.windowTitle, "class": dialog.className(), "buttons": buttons}

    def dialog_button_place(self, text):
        dialog = qt.QApplication.activeModalWidget()
        for button in _buttons(dialog):
            if button.text.replace("&", "") == text:
                return _on_screen(button, qt.QPoint(button.width // 2, button.height // 2))
        return None

    # --- the application

    def take_gaps(self):
        gaps_ms = sorted(1000 * gap_s for gap_s in self.gaps.take())
        if not gaps_ms:
            return {"count": 0, "largest_ms": 0.0, "p99_ms": 0.0}
        return {
            "count": len(gaps_ms),
            "largest_ms": gaps_ms[-1],
            "p99_ms": gaps_ms[int(0.99 * len(gaps_ms))],
        }

    def log_file(self):
        return slicer.app.currentLogFile()

    def about(self):
        app = slicer.app
        return f"Slicer {app.applicationVersion}, revision {app.revision}, {app.os} {app.arch}"

    def size(self, width, height):
        slicer.util.mainWindow().setGeometry(0, 22, width, height - 22)

    def panel_width(self):
        return _panel().top.width

    def close(self):
        qt.QTimer.singleShot(200, lambda: slicer.util.exit(0))


def _panel():
    return slicer.modules.PseudoLabelCLWidget.panel


def _widget(name):
    """A widget of the panel, or one of the main window by its object name."""
    found = getattr(_panel().ui, name, None)
    return found if found is not None else slicer.util.findChild(slicer.util.mainWindow(), name)


def _on_screen(widget, point):
    place = widget.mapToGlobal(point)
    return [place.x(), place.y()]


def _scroll_areas(widget):
    parent = widget.parent()
    while parent is not None:
        if hasattr(parent, "ensureWidgetVisible"):
            yield parent
        parent = parent.parent()


def _scroll_to(widget):
    for area in _scroll_areas(widget):
        area.ensureWidgetVisible(widget, 0, 20)
    for _ in range(3):
        slicer.app.processEvents()


def _is_in_sight(widget):
    """Whether all of a widget can be seen without scrolling."""
    if not widget.visible:
        return False
    corners = (qt.QPoint(1, 1), qt.QPoint(widget.width - 2, widget.height - 2))
    for area in _scroll_areas(widget):
        viewport = area.viewport()
        for corner in corners:
            point = viewport.mapFromGlobal(widget.mapToGlobal(corner))
            if not (0 <= point.x() <= viewport.width and 0 <= point.y() <= viewport.height):
                return False
    return True


def _is_open_menu(widget):
    return widget.className() in ("QMenu", "ctkMenu") and widget.visible


def _edited():
    """The segmentation that the editor offers, and the volume that it lies on."""
    node = _panel().ui.segmentEditor.segmentationNode()
    if node is None:
        return None, None
    return node, node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def _to_ras(volume, ijk):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return [matrix.MultiplyPoint((*point, 1.0))[:3] for point in ijk]


def _voxels(node, volume):
    """Voxels and centre (RAS, mm) of each segment, by name."""
    found = {}
    segmentation = node.GetSegmentation()
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
        places = np.argwhere(array > 0)
        centre = None
        if len(places):
            centre = [round(v, 2) for v in _to_ras(volume, [places.mean(axis=0)[::-1]])[0]]
        found[segmentation.GetSegment(segment_id).GetName()] = [len(places), centre]
    return found


def _buttons(dialog):
    return [b for b in slicer.util.findChildren(dialog, className="QPushButton") if b.visible]


def _composite(view):
    return slicer.app.layoutManager().sliceWidget(view).sliceLogic().GetSliceCompositeNode()


# What lays out its own inner widgets; looking inside is Slicer's business.
_CLOSED = (
    "qMRMLSegmentEditorWidget", "qMRMLPlotWidget", "QTableWidget", "QListWidget", "QPlainTextEdit",
    "ctkPathLineEdit", "qMRMLNodeComboBox", "QComboBox", "QSpinBox", "qMRMLSegmentsTableView",
)  # fmt: skip


def _layout_faults(parent):
    shown = [w for w in parent.children() if hasattr(w, "isWindow") and w.visible]
    shown = [w for w in shown if not w.isWindow()]
    for number, first in enumerate(shown):
        for second in shown[number + 1 :]:
            if first.geometry.intersects(second.geometry):
                yield f"{_name(first)} overlaps {_name(second)}"
    for widget in shown:
        hint = widget.minimumSizeHint
        if widget.height < min(hint.height(), widget.maximumHeight):
            yield f"{_name(widget)} is {widget.height} high and needs {hint.height()}"
        if widget.className() not in _CLOSED:
            yield from _layout_faults(widget)


def _name(widget):
    return widget.objectName or widget.className()


def _answer(answers, path):
    told = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    try:
        answer = {"value": getattr(answers, told["ask"])(*told["with"])}
        text = json.dumps(answer)
    except Exception:  # noqa: BLE001 - the outside says what went wrong
        text = json.dumps({"error": traceback.format_exc()})
    aside = path.with_suffix(".aside")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path.with_suffix(".answer"))


def _start():
    answers = Answers()

    def look():
        for path in sorted(FOLDER.glob("*.question")):
            _answer(answers, path)

    timer = qt.QTimer()
    timer.setInterval(LOOK_EVERY_MS)
    timer.connect("timeout()", look)
    timer.start()
    slicer.app.setProperty("PseudoLabelCLTour", True)
    slicer.modules.pseudoLabelCLTour = (answers, timer)  # a timer without an owner would go
    (FOLDER / "ready").touch()


_start()
