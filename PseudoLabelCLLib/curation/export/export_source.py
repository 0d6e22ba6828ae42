"""Who confirmed what an export holds; a file of its own, without the libraries of an export."""

from typing import Literal, TypeAlias

from PseudoLabelCLLib.domain.text import Text

ExportSource: TypeAlias = Literal["annotated", "accepted", "corrected", "proposal, unreviewed"]
SOURCE_WORDS: dict[ExportSource, Text] = {
    "annotated": Text("annotated"),
    "accepted": Text("accepted"),
    "corrected": Text("corrected"),
    "proposal, unreviewed": Text("proposal, unreviewed"),
}
