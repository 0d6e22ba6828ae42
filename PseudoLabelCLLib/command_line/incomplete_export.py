"""The error of an export that some cases did not take part in."""

from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue


class ExportIncompleteError(ProjectError):
    """Some cases did not go out; `result` holds one line for each case."""

    def __init__(self, num_refused: int, num_cases: int, result: JsonValue) -> None:
        super().__init__(
            Text(
                "{refused} of {cases} {were} not exported; the notes say why.",
                refused=num_refused,
                cases=with_noun(num_cases, "case"),
                were="was" if num_refused == 1 else "were",
            ),
            Text("Fix these problems, then export again."),
        )
        self.result = result
