"""The files that CMake installs, as they lie in the folders; --write puts them into the lists."""

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY, MODULE = REPOSITORY / "PseudoLabelCLLib", REPOSITORY / "PseudoLabelCL"
ROOT_CMAKE, MODULE_CMAKE = REPOSITORY / "CMakeLists.txt", MODULE / "CMakeLists.txt"


def files_there():
    """Every file that has to be installed, by the CMake file and the name of its list."""
    return {
        (ROOT_CMAKE, "LIBRARY_SCRIPTS"): _files(REPOSITORY, LIBRARY.rglob("*.py")),
        (ROOT_CMAKE, "LIBRARY_RESOURCES"): _files(
            REPOSITORY,
            (file for file in LIBRARY.rglob("*") if file.suffix != ".py"),
            (REPOSITORY / "Resources").rglob("*"),
        ),
        (MODULE_CMAKE, "MODULE_PYTHON_SCRIPTS"): _files(MODULE, MODULE.rglob("*.py")),
    }


def listed(cmake, name):
    """The entries of a list, in order."""
    return re.search(_list_pattern(name), cmake.read_text("utf-8"))["entries"].split()


def write_lists():
    """Put what lies in the folders into the lists."""
    for (cmake, name), files in files_there().items():
        lines = "".join(f"  {file}\n" for file in files)
        text = re.sub(
            _list_pattern(name),
            lambda match, lines=lines: f"{match['begin']}{lines}  )",
            cmake.read_text("utf-8"),
        )
        cmake.write_text(text, "utf-8", newline="\n")


def _list_pattern(name):
    return rf"(?P<begin>set\({name}\n)(?P<entries>[^)]*?) *\)"


def _files(root, *groups):
    return sorted(
        file.relative_to(root).as_posix()
        for group in groups
        for file in group
        if file.is_file() and "__pycache__" not in file.parts
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("Call: python Testing/packaging/file_lists.py --write")
    write_lists()
