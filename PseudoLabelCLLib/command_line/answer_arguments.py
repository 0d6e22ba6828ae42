"""The flag with which every command takes answers to questions."""

import argparse

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.question import GivenAnswer, given_answer


def add_answers(parser: argparse.ArgumentParser) -> None:
    """Add the flag that answers questions."""
    parser.add_argument(
        "--answer",
        action="append",
        type=_answer,
        default=[],
        metavar="KIND=VALUE",
        dest="answers",
        help="answer a question that the program asked, for all cases, or for one with "
        "CASE:KIND=VALUE; may be repeated (the question names the answers)",
    )


def _answer(text: str) -> GivenAnswer:
    try:
        return given_answer(text)
    except ProjectError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
