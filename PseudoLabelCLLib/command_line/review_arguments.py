"""The arguments of "review": which proposals are meant, and what of a correction counts."""

import argparse

from PseudoLabelCLLib.command_line.answer_arguments import add_answers


def add_review(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that lists and judges proposals."""
    review = commands.add_parser(
        "review",
        help="list the proposals, or give verdicts on them",
        description="List the proposals that can be reviewed (while a round makes them, "
        "those that are there), or give verdicts on them. A "
        "verdict applies to the proposal that you saw: name it with --proposal as "
        "the list shows it, or give --listing; with neither, the terminal asks "
        "about a single case. If there is a newer proposal by then, nothing is "
        "saved.",
    )
    review.add_argument("project", help="the project folder")
    review.add_argument(
        "cases", nargs="*", metavar="CASE", help="the cases that the verdict is for"
    )
    verdict = review.add_mutually_exclusive_group()
    verdict.add_argument("--accept", action="store_true", help="the proposals are correct")
    verdict.add_argument(
        "--reject",
        action="store_true",
        help="the proposals are wrong: leave them out of the next round",
    )
    verdict.add_argument(
        "--correct",
        metavar="FILE",
        help="your corrected segmentation of the case; the slices you changed count as truth",
    )
    _add_named_proposals(review)
    _add_what_counts(review)
    add_answers(review)


def _add_named_proposals(review: argparse.ArgumentParser) -> None:
    review.add_argument(
        "--proposal",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROUND:FINGERPRINT",
        help="the proposal that you saw, such as 0:3fa4bc12, as the list shows it; one for "
        "each case, in the same order",
    )
    review.add_argument(
        "--listing",
        metavar="FILE",
        help="the proposals that you saw, as a list saved with: pseudolabelcl review PROJECT "
        "--json > FILE; says how many were not opened individually",
    )


def _add_what_counts(review: argparse.ArgumentParser) -> None:
    review.add_argument(
        "--extent",
        choices=("slices", "voxels", "all"),
        help="with --correct: what counts as truth; the slices that you changed (default), only "
        "the voxels that you changed and those within 3 mm of one, or all slices",
    )
    review.add_argument(
        "--slices",
        metavar="LIST",
        help="with --correct: the slices that count as truth, counted from 1, such as 3-7,9",
    )
    review.add_argument(
        "--whole", action="store_true", help="with --correct: the same as --extent all"
    )
    review.add_argument(
        "--leave-out",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="with --accept or --correct: structures that you reject; every voxel outside the "
        "other structures then counts as none of those",
    )
