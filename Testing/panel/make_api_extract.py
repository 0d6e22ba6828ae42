"""Make the extract of what 3D Slicer offers to Python: only the names that the panel uses.

Usage: python make_api_extract.py DUMP, where DUMP is the introspection of a running application.
A name that the panel uses and neither the dump nor the table below has is told and not written.
"""

import ast
import json
import re
import sys
from pathlib import Path

from used_names import names_in_panel, names_in_tests, ui_names

EXTRACT = Path(__file__).with_name("slicer_api_extract.json")

# What the dump lacks, and where it was looked up: in the Python of Slicer at tag v5.12.3; in the
# types that PythonQt 4.1.0 wraps (commit 9992368e9, on which the PythonQt of Slicer 5.12 is built);
# in the generated headers of PythonQt 3.6.1 (commit f4769f190, Slicer 5.10), under
# generated_cpp_515; in CTK at commit 5056664a2.
FOUND_IN_SOURCES = {
    "qt.QCursor": (
        ["pos"],
        "typesystem_gui.xml:1093 com_trolltech_qt_gui_builtin0.h:257-285",
    ),
    "qt.QDesktopServices": (
        ["openUrl"],
        "Base/Python/slicer/ScriptedLoadableModule.py:293 com_trolltech_qt_gui1.h:852-861",
    ),
    "qt.QHeaderView": (
        ["setSectionResizeMode", "Stretch", "ResizeToContents", "Interactive"],
        "Modules/Scripted/DICOMLib/DICOMBrowser.py:776-779 com_trolltech_qt_gui3.h:2764-2765",
    ),
    "qt.QIcon": (
        [],
        "Modules/Scripted/SampleData/SampleData.py:444 com_trolltech_qt_gui_builtin0.h:409-413",
    ),
    "qt.QKeySequence": (
        [],
        "Base/Python/slicer/packaging.py:1207 com_trolltech_qt_gui_builtin0.h:646-684",
    ),
    "qt.QListWidgetItem": (
        ["text", "setText", "setData", "data", "checkState", "setCheckState", "setFlags", "flags",
         "setToolTip", "setIcon", "isSelected", "setSelected"],
        "Modules/Scripted/ExtensionWizard/ExtensionWizardLib/LoadModulesDialog.py:109-112"
        " typesystem_gui.xml:1994 com_trolltech_qt_gui5.h:583-636",
    ),
    "qt.QPixmap": (
        ["isNull"],
        "Docs/developer_guide/script_repository/plots.md:99"
        " com_trolltech_qt_gui_builtin0.h:915-976",
    ),
    "qt.QFontMetrics": (
        ["elidedText", "height"],
        "Modules/Scripted/DICOMLib/DICOMBrowser.py:728-735",
    ),
    "qt.QPoint": (
        ["x", "y"],
        "Modules/Loadable/Segmentations/EditorEffects/Python/SegmentEditorEffects/AbstractScriptedSegmentEditorEffect.py:86-96",
    ),
    "qt.QScrollBar": (
        ["setValue", "value", "maximum"],
        "Base/Python/slicer/packaging.py:1258-1259",
    ),
    "qt.QShortcut": (
        ["connect", "setContext", "setAutoRepeat", "setParent", "deleteLater", "disconnect"],
        "Base/Python/slicer/packaging.py:1207-1208 com_trolltech_qt_gui8.h:132-152",
    ),
    "qt.QTableWidgetItem": (
        ["text", "setText", "setData", "data", "setFlags", "flags", "setToolTip", "setIcon",
         "isSelected", "setSelected", "toolTip", "setBackground", "setTextAlignment"],
        "Modules/Scripted/DICOMLib/DICOMBrowser.py:785-809 typesystem_gui.xml:1983"
        " com_trolltech_qt_gui10.h:1342-1395",
    ),
    "qt.QUrl": (
        ["fromLocalFile", "toLocalFile"],
        "Modules/Scripted/DICOM/DICOM.py:737 com_trolltech_qt_core_builtin0.h:1101-1181",
    ),
    "qt.QMimeData": (
        ["urls", "hasUrls"],
        "Modules/Scripted/DICOM/DICOM.py:733-737 com_trolltech_qt_core2.h:300-331",
    ),
    "qt.QObject": (["__init__"], "Modules/Scripted/SampleData/SampleData.py:248-251"),
    "qt.QEvent": (
        ["type", "DragEnter", "DragMove", "Drop"],
        "Modules/Scripted/SampleData/SampleData.py:257 com_trolltech_qt_core1.h:275-294",
    ),
    "qt.QEventLoop": (
        ["exec_", "exec", "quit"],
        "typesystem_core.xml:1461 com_trolltech_qt_core1.h:323-338 src/PythonQtClassInfo.cpp:374",
    ),
    # PythonQt hands a drag or drop to an event filter under its own class
    "qt.QDropEvent": (
        ["type", "mimeData", "acceptProposedAction"],
        "typesystem_gui.xml:1635-1641 com_trolltech_qt_gui1.h:1798-1815",
    ),
    "ctk.ctkDICOMIndexer": (
        ["backgroundImportEnabled", "setDatabase", "addListOfFiles"],
        "Modules/Scripted/DICOMLib/DICOMProcesses.py:479-481"
        " Libs/DICOM/Core/ctkDICOMIndexer.h:40-132",
    ),
    "qt.QClipboard": (
        ["setText", "text"],
        "Base/Python/slicer/ScriptedLoadableModule.py:277 com_trolltech_qt_gui0.h:2381-2403",
    ),
    "qt.Qt": (
        ["AlignLeft", "CustomContextMenu", "Horizontal", "ItemIsEditable", "PlainText", "UserRole",
         "WidgetWithChildrenShortcut", "Checked", "Unchecked", "ElideMiddle", "DownArrow",
         "RightArrow", "ItemIsUserCheckable",
         "ItemIsEnabled", "ItemIsSelectable"],
        "Modules/Scripted/ExtensionWizard/ExtensionWizardLib/LoadModulesDialog.py:110-111"
        " com_trolltech_qt_core_builtin0.h:1187-1413",
    ),
}  # fmt: skip
SIGNALS_IN_SOURCES = {
    "qt.QShortcut": ["activated()"],
    "ctk.ctkDICOMIndexer": ["indexingComplete(int,int,int,int)"],
}
# Modules that are imported from, and functions that are called with names of parameters.
IMPORTED_FROM = ("slicer.i18n", "slicer.packaging", "slicer.ScriptedLoadableModule")
CALLED = {"pip_install": "slicer.packaging", "confirmOkCancelDisplay": "slicer.util"}
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


def parameter_names(signature: str) -> list[str]:
    """Return the names of the parameters of a function, as its signature writes them."""
    (function,) = ast.parse(f"def function{signature}: ...").body
    return [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]


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
    used |= {
        "qt.QDropEvent",
        "qt.QMimeData",
        "qt.QGridLayout",
        "qt.QScrollBar",
        "slicer.qMRMLPlotView",
    }
    functions = sorted(set(dump["python"]["slicer.util"]) & names)
    python = dump["python"]
    return {
        "application": dump["about"]["application"],
        "classes": {name: entry for name, entry in sorted(classes.items()) if name in used},
        "slicer.util": functions,
        "modules": sorted(set(dump["modules"]) & names),
        "imported": {module: sorted(python[module]) for module in IMPORTED_FROM},
        "parameters": {
            name: parameter_names(python[module][name]) for name, module in CALLED.items()
        },
    }


def main() -> None:
    """Write the extract beside this script."""
    dump = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    extract = make_extract(dump)
    EXTRACT.write_text(json.dumps(extract, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{len(extract['classes'])} classes written to {EXTRACT.name}")


if __name__ == "__main__":
    main()
