"""The commands and their arguments, with the help that teaches them."""

import argparse
from typing import TypeAlias

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.command_line.answer_arguments import add_answers
from PseudoLabelCLLib.command_line.channel_arguments import add_channels
from PseudoLabelCLLib.command_line.review_arguments import add_review
from PseudoLabelCLLib.command_line.wheels import PLATFORM_TAGS, PYTHON_OF_SLICER, this_platform
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.presets import PRESETS
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.messages.jobs import (
    ALL_GPUS,
    DeviceChoice,
)

_DESCRIPTION = """\
Segment one or two volumes, add volumes that nobody has segmented, and train. Before every round
you accept, correct or reject the proposals ("pseudo-labels"); the next round learns from your
verdicts. Everything stays on this computer.
"""

_EXAMPLE = """\
a typical session:
  pseudolabelcl create heart --annotated 002.nii.gz 002-label.nii.gz --unlabelled images/
  pseudolabelcl train heart                      round 0, then proposals for all other volumes
  pseudolabelcl review heart                     the proposals, most doubtful first
  pseudolabelcl review heart 017 --accept        asks whether the newest is the one you saw
  pseudolabelcl review heart 023 --reject --proposal 0:3fa4bc12d07e
  pseudolabelcl review heart 041 --correct my-041.seg.nrrd --proposal 0:9c01d6e2a5f8
  pseudolabelcl review heart 052 --accept --leave-out myocardium
  pseudolabelcl train heart                      the next round
  pseudolabelcl export heart results             your segmentations, as .seg.nrrd
  pseudolabelcl predict heart/rounds/round_01/model.plcl new-patient.nii.gz --output results

to try it without any data:  pseudolabelcl demo
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="pseudolabelcl",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_demo, _add_create, _add_add, _add_status, _add_author, _add_slices, _add_set,
        _add_pretrain, _add_pretrain_archive, _add_train, add_review, _add_predict, _add_evaluate,
        _add_export, _add_terms, _add_pieces, _add_start_from, _add_verify_seg, _add_doctor,
        _add_wheels,
    ):  # fmt: skip
        add(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--json", action="store_true", help="write one JSON document, for scripts"
        )
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo", help="run the whole loop on synthetic hearts, with a simulated review"
    )
    demo.add_argument(
        "folder", nargs="?", help="new folder (default: demo-output, or demo-output-2, ...)"
    )
    demo.add_argument("--seed", type=int, default=0, help="seed of the synthetic hearts")
    _add_device(demo)


def _add_create(commands: Commands) -> None:
    create = commands.add_parser("create", help="create a project from volumes and segmentations")
    create.add_argument("project", help="the new project folder")
    create.add_argument("--name", help="name of the project (default: the folder's name)")
    create.add_argument(
        "--profile",
        choices=[profile.value for profile in Profile],
        default=Profile.QUICK.value,
        help="quick: useful on a CPU; balanced: longer; paper: as published",
    )
    create.add_argument(
        "--preset",
        choices=[*PRESETS],
        help="the papers' settings for one of their data sets: pixel size, window, shading",
    )
    create.add_argument(
        "--labels",
        metavar="NAMES",
        help="the structures with their label values: a file (JSON), or '1=right "
        "ventricle,2=myocardium' (default: taken from the first segmentation; required if "
        "no volume is annotated yet)",
    )
    create.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="change a setting, such as training.seed=1 or preprocess.slicing_axis=2",
    )
    create.add_argument(
        "--pretraining",
        action="append",
        type=_pretraining_setting,
        metavar="METHOD",
        dest="settings",
        help="learn from all volumes without segmentations before round 0: global+local and "
        "masked train encoder and decoder, positional the encoder, none (default) does not",
    )
    create.add_argument(
        "--start-from",
        metavar="MODEL",
        help="let round 0 start from a trained model of another project (a .plcl file) instead of "
        "random weights; its structures may be others",
    )
    _add_case_arguments(create)


def _pretraining_setting(method: str) -> str:
    """Return `--pretraining METHOD` as the setting that `--set` would take."""
    known = [choice.value for choice in Pretraining]
    if method not in known:
        raise argparse.ArgumentTypeError(
            f"'{method}' is not a valid method; choose one of {', '.join(known)}"
        )
    return f"pretraining.method={method}"


def _add_add(commands: Commands) -> None:
    add = commands.add_parser(
        "add", help="add volumes to a project, or a segmentation to one of its unlabelled volumes"
    )
    add.add_argument("project", help="the project folder")
    _add_case_arguments(add)


def _add_case_arguments(parser: argparse.ArgumentParser) -> None:
    for role in ("annotated", "validation"):
        parser.add_argument(
            f"--{role}",
            nargs=2,
            action="append",
            default=[],
            metavar=("VOLUME", "SEGMENTATION"),
            help=f"a volume and its segmentation, added as {role} case; may be repeated",
        )
    parser.add_argument(
        "--unlabelled",
        nargs="+",
        action="extend",
        default=[],
        metavar="VOLUME",
        help="volumes nobody has segmented: files, or folders, which are searched with their "
        "subfolders for volumes and DICOM series; label maps in them are left out",
    )
    parser.add_argument(
        "--table",
        metavar="CSV",
        help="a table with the columns id, role, image, annotation (roles: annotated, "
        "unlabelled, validation, ignored)",
    )
    add_channels(
        parser,
        "names of the images of each case, such as FLAIR,T1; segmentations lie on the first; the "
        "volumes named are the first images, and the others are found beside them: p1_FLAIR and "
        "p1_T1, or p1_0000 and p1_0001; in a table each has a column of its name",
    )
    parser.add_argument(
        "--copy-images",
        action="store_true",
        help="copy the volumes into the project, so that it can be moved on its own",
    )
    add_answers(parser)


def _add_status(commands: Commands) -> None:
    status = commands.add_parser("status", help="show cases, rounds, and what comes next")
    status.add_argument("project", help="the project folder")
    status.add_argument(
        "--check", action="store_true", help="also read every volume and list what looks odd"
    )


def _add_author(commands: Commands) -> None:
    author = commands.add_parser("author", help="show or choose the name stored with verdicts")
    author.add_argument(
        "name", nargs="?", help='any name, such as "reader 2"; an empty one stores none'
    )


def _add_slices(commands: Commands) -> None:
    slices = commands.add_parser(
        "slices", help="choose which slices of annotated cases count: all, or those that were drawn"
    )
    slices.add_argument("project", help="the project folder")
    slices.add_argument("cases", nargs="+", metavar="CASE", help="annotated cases")
    which = slices.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--drawn",
        action="store_true",
        help="only the slices that were drawn; the others are unlabelled and get proposals",
    )
    which.add_argument("--all", action="store_true", help="all slices; empty ones are background")


def _add_set(commands: Commands) -> None:
    set_ = commands.add_parser(
        "set", help="show the settings of a project, or change some from the next round on"
    )
    set_.add_argument("project", help="the project folder")
    set_.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        help="what to change, such as training.joint.num_steps=500; without any, shows what "
        "differs from the profile",
    )
    set_.add_argument("--all", action="store_true", help="show every setting")


def _add_pretrain(commands: Commands) -> None:
    pretrain = commands.add_parser(
        "pretrain",
        help="learn from all volumes without segmentations, before round 0 (train does it too)",
    )
    pretrain.add_argument("project", help="the project folder")
    add_answers(pretrain)
    _add_device(pretrain)


def _add_pretrain_archive(commands: Commands) -> None:
    archive = commands.add_parser(
        "pretrain-archive",
        help="learn from an archive of volumes without segmentations, once for many projects",
    )
    archive.add_argument(
        "volumes",
        nargs="+",
        metavar="VOLUME",
        help="files, or folders, which are searched with their subfolders",
    )
    archive.add_argument(
        "--output",
        required=True,
        metavar="MODEL",
        help="the model file (.plcl) that 'create --start-from' takes",
    )
    archive.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="change a setting, such as pretraining.method=positional",
    )
    add_channels(archive, "names of the images of each patient, as for 'create'")
    add_answers(archive)
    _add_device(archive)


def _add_train(commands: Commands) -> None:
    train = commands.add_parser(
        "train", help="train the next round, or continue an interrupted one"
    )
    train.add_argument("project", help="the project folder")
    train.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="number of rounds to train without review (default: 1)",
    )
    add_answers(train)
    _add_device(train)
    _add_processes(train, "each batch, and the proposals")
    train.add_argument(
        "--only-write-job",
        metavar="FOLDER",
        help="train nothing now, but write the job into this folder, to be started with torchrun "
        "on one or several computers (Docs/processes.md)",
    )


def _add_predict(commands: Commands) -> None:
    predict = commands.add_parser("predict", help="apply a model file to new volumes")
    predict.add_argument("model", help="a model file (.plcl)")
    predict.add_argument(
        "images",
        nargs="+",
        metavar="VOLUME",
        help="files or DICOM folders; for a model of several channels the first image of each "
        "patient, beside which the others lie (p1_FLAIR and p1_T1), or FLAIR=FILE,T1=FILE",
    )
    add_channels(
        predict,
        "what the images are called in the names of the files, in the order of the model's "
        "channels, if not as in the model",
    )
    predict.add_argument("--output", required=True, help="folder for the segmentations")
    _add_format(predict)
    predict.add_argument(
        "--series",
        nargs="+",
        default=[],
        metavar="UID",
        help="UID of the DICOM series, one for each volume in the same order, '-' for a volume "
        "that needs none; name a folder once for each of its series",
    )
    add_answers(predict)
    predict.add_argument(
        "--uncertainty", action="store_true", help="also write the uncertainty of each voxel"
    )
    _add_device(predict)
    _add_processes(predict, "the volumes")
    predict.add_argument(
        "--only-write-job",
        metavar="FOLDER",
        help="segment nothing now, but write the job into this folder, to be started with torchrun "
        "on one or several computers (Docs/processes.md)",
    )


def _add_evaluate(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="measure Dice, HD95 and ASSD of every round against references"
    )
    evaluate.add_argument("target", metavar="PROJECT_OR_MODEL", help="project folder or model file")
    evaluate.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar=("VOLUME", "REFERENCE"),
        help="a volume and its reference; default: the project's validation cases",
    )
    evaluate.add_argument(
        "--table",
        metavar="CSV",
        help="a table as for 'create': every row with an annotation is measured",
    )
    evaluate.add_argument(
        "--rounds", type=int, nargs="+", default=[], help="only these rounds (default: all)"
    )
    evaluate.add_argument(
        "--single",
        action="store_true",
        help="predict each volume once, without averaging over rotated and zoomed copies",
    )
    evaluate.add_argument("--output", metavar="JSON", help="also write every number to this file")
    add_answers(evaluate)
    _add_device(evaluate)


def _add_export(commands: Commands) -> None:
    export = commands.add_parser(
        "export", help="write the segmentations that you drew, corrected or accepted"
    )
    export.add_argument("project", help="the project folder")
    export.add_argument("output", help="folder for the segmentations")
    export.add_argument("--cases", nargs="+", metavar="CASE", help="only these cases")
    export.add_argument(
        "--include-unreviewed",
        action="store_true",
        help="also the newest unreviewed proposals, marked as such",
    )
    _add_format(export, "dicom-seg")
    dicom = export.add_argument_group("only for --format dicom-seg")
    dicom.add_argument(
        "--check", action="store_true", help="only list errors and warnings; write nothing"
    )
    dicom.add_argument(
        "--source", metavar="DIR", help="where the DICOM series lie now, if they were moved"
    )
    dicom.add_argument(
        "--accept-losses",
        action="store_true",
        help="allow the loss of voxels that have no place on the grid of the series",
    )
    dicom.add_argument(
        "--creator", metavar="NAME", help="the DICOM content creator, such as Doe^Jane"
    )
    dicom.add_argument(
        "--with-volume",
        action="store_true",
        help="write volumes that did not come from DICOM as series first, marked as derived",
    )
    dicom.add_argument(
        "--modality",
        choices=["MR", "CT", "OT"],
        default="OT",
        help="modality of those volumes (default: OT, other)",
    )
    dicom.add_argument(
        "--patient-id", metavar="ID", default="", help="a pseudonym for the volume of one case"
    )


def _add_terms(commands: Commands) -> None:
    terms = commands.add_parser(
        "terms", help="show or choose the DICOM terminology of the structures"
    )
    terms.add_argument("project", help="the project folder")
    terms.add_argument(
        "terms",
        nargs="*",
        metavar="STRUCTURE=WORDS",
        help="what a structure is, such as 'kidney_l=Kidney, left'; without any, shows suggestions",
    )
    terms.add_argument(
        "--accept-proposed",
        action="store_true",
        help="take the first suggestion for every structure that has no terminology yet",
    )


def _add_pieces(commands: Commands) -> None:
    pieces = commands.add_parser(
        "pieces", help="show or choose of which structures predictions keep a single piece"
    )
    pieces.add_argument("project", help="the project folder")
    pieces.add_argument(
        "choices",
        nargs="*",
        metavar="STRUCTURE=PIECES",
        help="'one', 'several', or 'as-drawn' (one if every annotated volume shows it in one "
        "piece), from the next round on",
    )


def _add_start_from(commands: Commands) -> None:
    start = commands.add_parser(
        "start-from", help="show or choose the trained model that round 0 starts from"
    )
    start.add_argument("project", help="the project folder")
    chosen = start.add_mutually_exclusive_group()
    chosen.add_argument(
        "model", nargs="?", metavar="MODEL", help="a model file (.plcl); it is copied"
    )
    chosen.add_argument(
        "--afresh", action="store_true", help="start from random weights, as without a model"
    )


def _add_verify_seg(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify-seg", help="check a DICOM segmentation against the series that it belongs to"
    )
    verify.add_argument("file", help="the DICOM segmentation")
    verify.add_argument(
        "--source", required=True, metavar="DIR", help="the folder of the DICOM series"
    )
    verify.add_argument("--series", metavar="UID", help="which series, if there are several")


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor", help="show device, memory and versions, and how long training takes"
    )
    _add_device(doctor)


def _add_wheels(commands: Commands) -> None:
    command = commands.add_parser(
        "wheels", help="download what training needs, for a computer without a network"
    )
    command.add_argument("folder", help="folder for the wheel files")
    command.add_argument(
        "--slicer",
        choices=PYTHON_OF_SLICER,
        default="5.12",
        help="version of Slicer on the other computer",
    )
    command.add_argument(
        "--platform",
        choices=PLATFORM_TAGS,
        default=this_platform(),
        help="operating system of the other computer (default: the one used here)",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=[device.value for device in DeviceChoice],
        default=DeviceChoice.AUTO.value,
        help="device for the network (default: the fastest that works)",
    )


def _add_processes(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--processes",
        type=_number_of_processes,
        default=1,
        metavar="N",
        help=f"number of processes that share {what}: each has a GPU of its own, or its part of "
        "the processor's cores; 'auto' takes all GPUs of this computer (default: 1)",
    )


def _number_of_processes(text: str) -> int:
    """Return a number of processes; `ALL_GPUS` for 'auto'."""
    if text == "auto":
        return ALL_GPUS
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 on or 'auto', got '{text}'")


def _add_format(parser: argparse.ArgumentParser, *more: str) -> None:
    parser.add_argument(
        "--format",
        choices=[*(kind.value for kind in SegmentationFormat), *more],
        default=SegmentationFormat.SEG_NRRD.value,
        help="file format (default: %(default)s, for Slicer)",
    )
