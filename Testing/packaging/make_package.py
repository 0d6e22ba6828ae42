"""The archive that a person unpacks and drags onto Slicer's window: make_package.py FOLDER."""

import re
import sys
import zipfile
from pathlib import Path

from file_lists import LIBRARY, MODULE, MODULE_CMAKE, REPOSITORY, ROOT_CMAKE, files_there

ROOT = "PseudoLabelCL"
# Zip files know no earlier time; the same sources make the same archive.
_TIME = (1980, 1, 1, 0, 0, 0)
_FIRST_STEPS = """\
PseudoLabelCL {version} for 3D Slicer 5.10 or later. A research tool, not for clinical use.

1. Unpack this archive to a place where it can stay, for example your Documents folder.
2. Start 3D Slicer and drag the folder PseudoLabelCL, the one that holds this text, onto its window.
   Choose "Add Python scripted modules to the application" and press OK; take the tick off
   "Enable developer mode" and press Yes.
3. Open the module: Modules > Segmentation > PseudoLabelCL. It says what is missing (PyTorch, some
   packages) and installs it on one click; nothing else uses the network.

To update: close Slicer, replace the folder by that of the new archive. Projects and settings stay.
To remove: Edit > Application Settings > Modules, press ">>" beside "Additional module paths", mark
the folder, press Remove, then OK; close Slicer and delete the folder. Projects stay where you made
them; the installed packages stay in Slicer's Python, and two paths in Slicer's settings.
"""


def package_files():
    """Every file of the archive by its name there, as Slicer finds them in one module folder."""
    there = files_there()
    names = {name: MODULE / name for name in there[MODULE_CMAKE, "MODULE_PYTHON_SCRIPTS"]}
    for kind in ("LIBRARY_SCRIPTS", "LIBRARY_RESOURCES"):
        names |= {name: REPOSITORY / name for name in there[ROOT_CMAKE, kind]}
    names["LICENSE.txt"] = REPOSITORY / "LICENSE"
    return {f"{ROOT}/{name}": file for name, file in sorted(names.items())}


def write_package(folder):
    """Write the archive into a folder and return its path."""
    text = (LIBRARY / "__init__.py").read_text("utf-8")
    version = re.search(r'__version__ = "(.*)"', text)[1]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ROOT}-{version}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        first_steps = _FIRST_STEPS.format(version=version).replace("\n", "\r\n")
        _add(archive, f"{ROOT}/FIRST-STEPS.txt", first_steps.encode())
        for name, file in package_files().items():
            _add(archive, name, file.read_bytes())
    return path


def _add(archive, name, content):
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Call: python Testing/packaging/make_package.py FOLDER")
    print(write_package(Path(sys.argv[1])))
