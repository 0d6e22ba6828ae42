"""CTK's widgets as far as the panel needs them: they look and fold like the real ones."""

# ruff: noqa: N801, N802, N815 - the names are Slicer's and Qt's

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


class _Folding:
    """Hides its children while it is folded, as CTK does.

    A child that is told to show or hide itself meanwhile does so on unfolding; one that was told
    nothing is shown then. A child hidden by folding counts as hidden, but not as told so.
    """

    def watch_children(self) -> None:
        """Begin to hear what children are told."""
        self._is_forcing = False
        for child in self._direct_children():
            child.installEventFilter(self)
            if child.isHidden():
                child.setProperty("visibilityToParent", False)
            self._put_child(child)

    def _direct_children(self) -> list[QtWidgets.QWidget]:
        only_direct = QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        return self.findChildren(QtWidgets.QWidget, options=only_direct)

    def _put_child(self, child: QtWidgets.QWidget) -> None:
        was_told_to_hide = child.property("visibilityToParent") is False
        self._is_forcing = True
        child.setVisible(self.isChecked() and not was_told_to_hide)
        if not was_told_to_hide:
            explicit = QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide
            child.setAttribute(explicit, False)
        self._is_forcing = False

    def eventFilter(self, child: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if not self._is_forcing and event.type() == QtCore.QEvent.Type.ShowToParent:
            child.setProperty("visibilityToParent", True)
            self._put_child(child)
        elif not self._is_forcing and event.type() == QtCore.QEvent.Type.HideToParent:
            child.setProperty("visibilityToParent", False)
        return False

    def _fold_children(self) -> None:
        for child in self._direct_children():
            self._put_child(child)


class ctkCollapsibleButton(_Folding, QtWidgets.QAbstractButton):
    """A section with a header that folds it."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._header(), 0, 0)
        self.toggled.connect(self._fold)
        self.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred
        )

    def _header(self) -> int:
        return self.fontMetrics().height() + 8

    def _get(self) -> bool:
        return not self.isChecked()

    def _set(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, _get, _set)

    def _fold(self, checked: bool) -> None:
        self._fold_children()
        self.setMaximumHeight(16777215 if checked else self._header())
        self.contentsCollapsed.emit(not checked)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._header()

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        inner = layout.sizeHint() if layout and self.isChecked() else QtCore.QSize(80, 0)
        extra = 0 if layout and self.isChecked() else self._header()
        return QtCore.QSize(inner.width(), inner.height() + extra)

    def minimumSizeHint(self) -> QtCore.QSize:
        return self.sizeHint() if not self.isChecked() else super().minimumSizeHint()

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self._header())
        option.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, self._header() // 2 - 6, 12, 12)
        primitive = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            primitive.PE_IndicatorArrowDown if self.isChecked() else
            primitive.PE_IndicatorArrowRight, arrow,
        )  # fmt: skip
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(
            option.rect.adjusted(24, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.text()
        )


class ctkCollapsibleGroupBox(_Folding, QtWidgets.QGroupBox):
    """A group that folds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._fold)

    def _get(self) -> bool:
        return not self.isChecked()

    def _set(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, _get, _set)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionGroupBox()
        self.initStyleOption(option)
        control = QtWidgets.QStyle.ComplexControl.CC_GroupBox
        part = QtWidgets.QStyle.SubControl
        box = self.style().subControlRect(control, option, part.SC_GroupBoxCheckBox, self)
        option.subControls = part.SC_GroupBoxLabel | part.SC_GroupBoxFrame
        option.text = "     " + option.text
        painter.drawComplexControl(control, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = box.adjusted(1, 1, -1, -1)
        primitive = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            primitive.PE_IndicatorArrowDown if self.isChecked() else
            primitive.PE_IndicatorArrowRight, arrow,
        )  # fmt: skip

    def _fold(self, checked: bool) -> None:
        for child in self.findChildren(
            QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        ):
            child.setEnabled(True)
        self._fold_children()
        self.setMaximumHeight(16777215 if checked else self.fontMetrics().height() + 10)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a button that opens a file dialog."""

    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(editable=True)
        self._combo.setMinimumContentsLength(8)
        self._combo.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._combo.editTextChanged.connect(self.currentPathChanged)
        browse = QtWidgets.QToolButton(text="...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._combo, 1)
        layout.addWidget(browse)
        self.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )

    currentPath = QtCore.Property(
        str, lambda self: self._combo.currentText(), lambda self, p: self._combo.setEditText(p)
    )
    settingKey = QtCore.Property(str, lambda _self: "", lambda _self, _key: None)

    def setCurrentPath(self, path: str) -> None:
        self._combo.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        self._combo.insertItem(0, self._combo.currentText())


CLASSES = {
    name: value for name, value in dict(globals()).items() if name.startswith("ctk")
}  # fmt: skip
