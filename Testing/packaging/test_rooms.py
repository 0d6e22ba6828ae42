"""The page on the architecture: its table of rooms is that of the code, its paths are there."""

import re

import rooms


def test_the_table_of_rooms_is_that_of_the_code():
    assert rooms.written() == rooms.table(), "Call: python Testing/packaging/rooms.py --write"


def test_every_file_that_the_page_names_is_there():
    text = rooms.PAGE.read_text("utf-8")
    named = set(re.findall(r"`([\w/]+/[\w/.]+\.(?:py|ui|toml))`", text))
    assert len(named) > 10
    folders = (rooms.REPOSITORY, rooms.REPOSITORY / "PseudoLabelCLLib",
               rooms.REPOSITORY / "PseudoLabelCL" / "PseudoLabelCLGui")  # fmt: skip
    lost = [name for name in named if not any((folder / name).is_file() for folder in folders)]
    assert lost == []
