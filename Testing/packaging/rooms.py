"""The rooms of the code, with what they import, as a table; --write puts it into the docs."""

import ast
import sys
from pathlib import Path

import grimp

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "Docs" / "architecture.md"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"
ROOTS = {"PseudoLabelCLLib": REPOSITORY, "PseudoLabelCLGui": REPOSITORY / "PseudoLabelCL"}


def table():
    """The table as it has to stand in the docs."""
    rooms = {
        ".".join(init.parent.relative_to(base).parts): init
        for root, base in ROOTS.items()
        for init in sorted((base / root).rglob("__init__.py"))
    }
    imports = _imports_between(set(rooms))
    lines = ["| room | files | what is in it | imports |", "|---|--:|---|---|"]
    for room, init in rooms.items():
        told = ast.get_docstring(ast.parse(init.read_text("utf-8"))).splitlines()[0]
        files = len([file for file in init.parent.glob("*.py") if file != init])
        used = ", ".join(f"`{_short(other)}`" for other in sorted(imports[room]))
        lines.append(f"| `{_short(room)}` | {files} | {told.rstrip('.')} | {used} |")
    return "\n".join(lines) + "\n"


def _imports_between(rooms):
    """Which rooms every room imports; a room's own parts are left out."""
    sys.path.insert(0, str(ROOTS["PseudoLabelCLGui"]))
    graph = grimp.build_graph(*ROOTS)
    found = {room: set() for room in rooms}
    for module in graph.modules:
        room = _room_of(module, rooms)
        for imported in graph.find_modules_directly_imported_by(module):
            other = _room_of(imported, rooms)
            if other != room and not other.startswith(f"{room}."):
                found[room].add(other)
    return found


def _room_of(module, rooms):
    return module if module in rooms else module.rpartition(".")[0]


def _short(room):
    """As the table calls it: the library's rooms by their own names, the panel's with its name."""
    return room.removeprefix("PseudoLabelCLLib.")


def written():
    """The table as it stands in the docs."""
    return PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("Call: python Testing/packaging/rooms.py --write")
    text = PAGE.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(before + BEGIN + table() + END + after, "utf-8", newline="\n")
