"""Make the extract of what 3D Slicer offers to Python: only the names that the panel uses.

Usage: python make_api_extract.py DUMP, where DUMP is the introspection of a running application.
A name that the panel uses and neither the dump nor the table below has is told and not written.
"""

import json
import re
import sys
from pathlib import Path

from used_names import names_in_panel, names_in_tests, ui_names

EXTRACT = Path(__file__).with_name("slicer_api_extract.json")

# What the dump lacks, and the file of Slicer 5.12.3 that uses it from Python in the same way, or
# "tried" where it was executed in the running application.
FOUND_IN_SOURCES = {
    "qt.QBrush": ([], "tried"),
    "qt.QColor": (["name"], "Base/Python/slicer/util.py"),
    "qt.QCursor": (["pos"], "Modules/Loadable/Segmentations/Widgets/Resources"),
    "qt.QDesktopServices": (["openUrl"], "Modules/Scripted/WebServer/WebServer.py"),
    "qt.QHeaderView": (
        ["setSectionResizeMode", "Stretch", "ResizeToContents", "Interactive"],
        "Modules/Scripted/DICOMLib/DICOMBrowser.py",
    ),
    "qt.QIcon": ([], "Base/Python/slicer/ScriptedLoadableModule.py"),
    "qt.QKeySequence": ([], "Base/Python/slicer/packaging.py"),
    "qt.QListWidgetItem": (
        ["text", "setText", "setData", "data", "checkState", "setCheckState", "setFlags", "flags",
         "setToolTip", "setIcon", "isSelected", "setSelected"],
        "Modules/Scripted/ExtensionWizard/ExtensionWizardLib/LoadModulesDialog.py",
    ),
    "qt.QPixmap": (["isNull"], "Modules/Scripted/DataProbe/DataProbe.py"),
    "qt.QShortcut": (
        ["connect", "setContext", "setAutoRepeat", "setParent", "deleteLater", "disconnect"],
        "Base/Python/slicer/packaging.py",
    ),
    "qt.QTableWidgetItem": (
        ["text", "setText", "setData", "data", "setFlags", "flags", "setToolTip", "setIcon",
         "isSelected", "setSelected", "toolTip", "setBackground", "setTextAlignment"],
        "Modules/Scripted/DICOMLib/DICOMBrowser.py",
    ),
    "qt.QUrl": (["fromLocalFile", "toLocalFile"], "Modules/Scripted/DICOM/DICOM.py"),
    "qt.QMimeData": (["urls", "hasUrls"], "Modules/Scripted/DICOM/DICOM.py"),
    "qt.QObject": (["__init__"], "Modules/Scripted/SampleData/SampleData.py"),
    "qt.QEvent": (
        ["type", "DragEnter", "DragMove", "Drop"], "Modules/Scripted/SampleData/SampleData.py",
    ),
    # PythonQt's typesystem_gui.xml hands a drop to an event filter under its own class
    "qt.QDropEvent": (["type", "mimeData", "acceptProposedAction"], "typesystem_gui.xml"),
    "ctk.ctkDICOMIndexer": (
        ["backgroundImportEnabled", "setDatabase", "addListOfFiles"],
        "Modules/Scripted/DICOMLib/DICOMProcesses.py, CTK's ctkDICOMIndexer.h (Q_INVOKABLE)",
    ),
    "qt.QApplication": (["clipboard"], "Base/Python/slicer/util.py"),
    "qt.QClipboard": (["setText", "text"], "Applications/SlicerApp"),
    "qt.Qt": (
        ["AlignLeft", "CustomContextMenu", "Horizontal", "ItemIsEditable", "PlainText", "UserRole",
         "WidgetWithChildrenShortcut", "Checked", "Unchecked", "ItemIsUserCheckable",
         "ItemIsEnabled", "ItemIsSelectable"],
        "Modules/Scripted/ExtensionWizard/ExtensionWizardLib/LoadModulesDialog.py",
    ),
}  # fmt: skip
SIGNALS_IN_SOURCES = {
    "qt.QShortcut": ["activated()"],
    "ctk.ctkDICOMIndexer": ["indexingComplete(int,int,int,int)"],
}
# Values that PythonQt hands out where the dump names the object by the way to it.
OTHER_NAMES = {
    "slicer.app.layoutManager()": "slicer.app.layoutManager",
    "slicer.app.layoutManager().sliceWidget('Red')": "slicer.qMRMLSliceWidget",
    "slicer.util.mainWindow()": "slicer.util.mainWindow",
}


def class_entry(widget: dict, names: set[str], signals: set[str]) -> dict:
    """Keep of one class what is used by name anywhere in the panel, the .ui or a connection."""
    methods = {signature.split("(")[0] for signature in widget["invokables"] + widget["slots"]}
    known = set(widget["python"]) | methods | set(widget["properties"])
    return {
        "properties": sorted(set(widget["properties"]) & names),
        "names": sorted((known & names) - set(widget["properties"])),
        "signals": sorted(set(widget["signals"]) & signals),
        "slots": sorted(set(widget["slots"]) & signals),
    }


def make_extract(dump: dict) -> dict:
    """Return the extract; what is used and found nowhere is left out, so that a test fails."""
    names, signals = names_in_panel()
    ui_classes, ui_properties, ui_signals = ui_names()
    test_names, test_signals = names_in_tests()
    names, signals = names | ui_properties | test_names, signals | ui_signals | test_signals
    names |= {re.sub(r"^set([A-Z])", lambda m: m[1].lower(), name) for name in names}
    classes = {}
    for name, widget in dump["widgets"].items():
        classes[OTHER_NAMES.get(name, name)] = class_entry(widget, names, signals)
    for name, (members, _where) in FOUND_IN_SOURCES.items():
        classes.setdefault(
            name,
            {"properties": [], "names": sorted(set(members) & names), "slots": [],
             "signals": SIGNALS_IN_SOURCES.get(name, [])},
        )  # fmt: skip
    used = {f"{module}.{name}" for module in ("qt", "ctk", "slicer") for name in names}
    used |= set(ui_classes) | {"qt.QWidget", "slicer.app.layoutManager", "qt.QClipboard"}
    used |= {"qt.QDropEvent", "qt.QMimeData"}
    functions = sorted(set(dump["python"]["slicer.util"]) & names)
    return {
        "application": dump["about"]["application"],
        "classes": {name: entry for name, entry in sorted(classes.items()) if name in used},
        "slicer.util": functions,
        "modules": sorted(set(dump["modules"]) & names),
    }


def main() -> None:
    """Write the extract beside this script."""
    dump = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    extract = make_extract(dump)
    EXTRACT.write_text(json.dumps(extract, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{len(extract['classes'])} classes written to {EXTRACT.name}")


if __name__ == "__main__":
    main()
