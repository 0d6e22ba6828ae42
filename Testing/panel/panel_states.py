"""States of the panel as the presenter makes them, for tests and pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.panel_state import (
    Action,
    CaseRow,
    CasesState,
    Curve,
    ExportState,
    ExtentChoice,
    FindingRow,
    Light,
    MarkedLine,
    Message,
    PanelState,
    ProjectState,
    QueueRow,
    ReadinessState,
    ReviewState,
    RoundRow,
    RoundsState,
    TrainState,
    UseState,
)

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, Terminology
from PseudoLabelCLLib.messages.answers import CaseFiles, ExportFix, ProposedCodes

SHAPE = (12, 40, 40)  # k, j, i
GEOMETRY = Geometry(
    size=SHAPE[::-1],
    spacing_mm=(1.5, 1.5, 4.0),
    origin_mm=(-30.0, 12.0, 5.0),
    direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
)
LABELS = (
    LabelClass(1, "left ventricle", "#e69f00"),
    LabelClass(2, "myocardium", "#56b4e9"),
)
CAN = Action(enabled=True)
PLAN = "2 human segmentations and 5 pseudo-labels will be used, 1 is left out."


def identity_of(case_id: str, round_index: int = 1) -> ProposalIdentity:
    """What a verdict on a case is on."""
    return ProposalIdentity(case_id, round_index, f"fingerprint of {case_id}")


def cannot(reason: str) -> Action:
    """A disabled button that says why."""
    return Action(tool_tip=reason)


COLUMNS = ("Volume", "Role", "State", "Doubt")

NEW = PanelState(
    readiness=ReadinessState(
        light=Light.GREEN,
        sentence="NVIDIA RTX 4070, 12 GB; all packages are there; 218 GB free",
        details=("Python 3.12.10", "torch 2.8.0: computes on the GPU", "monai 1.5.0"),
        probe=CAN,
        copy_report=CAN,
    ),
    project=ProjectState(new=CAN, open=CAN, close=cannot("No project is open."), sample=CAN),
    cases=CasesState(
        columns=COLUMNS,
        add=cannot("Open a project first."),
        add_files=cannot("Open a project first."),
        add_folder=cannot("Open a project first."),
        set_role=cannot("Open a project first."),
        remove=cannot("Open a project first."),
        check=cannot("Open a project first."),
    ),
    train=TrainState(train=Action(text="Train", tool_tip="Open a project first.")),
)
MISSING = replace(
    NEW,
    readiness=ReadinessState(
        light=Light.RED,
        sentence="PyTorch and 2 other packages are missing",
        details=("Python 3.12.10", "torch: not there", "monai: not there"),
        install=Action(enabled=True, text="Install...", tool_tip="About 3 GB"),
        probe=CAN,
        copy_report=CAN,
    ),
)


def row(number: int, role: CaseRole, state: str, doubt: str = "", verdict: str = "") -> CaseRow:
    """A line of the table of cases."""
    name, tip = f"heart {number}", f"/data/heart {number}.nrrd"
    if role.needs_annotation:
        tip += f"\nSegmentation: heart {number}.seg.nrrd"
    state = verdict or ("" if state == role.value else state)
    return CaseRow(name, role, (name, role.value, state, doubt), tip)


OPEN = replace(
    NEW,
    project=ProjectState("/projects/Hearts", "Hearts", new=CAN, open=CAN, close=CAN, sample=CAN),
    cases=CasesState(
        columns=COLUMNS,
        rows=(
            row(1, CaseRole.ANNOTATED, "annotated"),
            row(2, CaseRole.VALIDATION, "validation"),
            row(3, CaseRole.UNLABELLED, "not segmented yet"),
            row(4, CaseRole.UNLABELLED, "not segmented yet"),
            row(5, CaseRole.IGNORED, "ignored"),
        ),
        labels=LABELS,
        add=CAN,
        add_files=CAN,
        add_folder=CAN,
        set_role=CAN,
        remove=CAN,
        check=CAN,
    ),
    train=TrainState(
        profile="quick",
        settings={"training.joint.num_steps": "600", "training.seed": "0"},
        can_change=frozenset({"profile", "pretraining.method", "training.joint.num_steps"}),
        train=Action(enabled=True, text="Train round 0", tool_tip=PLAN),
        pause=cannot("Nothing is being trained."),
        stop=cannot("Nothing is being trained."),
        sentence="1 human segmentation will be used.",
    ),
    use=UseState(
        apply=cannot("Train a round or load a model first."),
        save_model=cannot("No round has been trained yet."),
        load_model=CAN,
    ),
    export=ExportState(
        note=(
            "Not from DICOM (1 of 5): heart 5. Export them as .seg.nrrd or NIfTI, add them again "
            "from their DICOM folders, or have their volumes written as DICOM series first (Check "
            "offers it)."
        ),
        check=CAN,
        export=CAN,
        cancel=cannot("No export is running."),
    ),
)
CHECKED = replace(
    OPEN,
    cases=replace(
        OPEN.cases,
        findings=(
            "Error: heart 4: the volume lies on another grid than its segmentation. Resample it.",
            "heart 5: brightness differs from the others. Look whether it is another sequence.",
        ),
    ),
)
ASKED = replace(
    OPEN,
    cases=replace(
        OPEN.cases,
        questions=(
            QuestionRow(
                "heart 4: The segmentation 'h4-label.nii.gz' has as many voxels along each axis "
                "as its image, but its header puts them elsewhere, up to 96.2 mm away. "
                "2570 labelled voxels would move.",
                (
                    (
                        "voxels",
                        "Use it voxel for voxel",
                        "uses it voxel for voxel, whatever its header says",
                    ),
                    ("leave", "Leave it out", "leaves the file out"),
                ),
            ),
            QuestionRow(
                "Some volumes have their best resolution in a different anatomical plane from "
                "most.",
                (
                    ("axial", "Axial slices", "slices every volume axially"),
                    ("coronal", "Coronal slices", "slices every volume coronally"),
                    ("sagittal", "Sagittal slices", "slices every volume sagittally"),
                ),
            ),
        ),
    ),
)
STEPS = tuple(float(step) for step in range(0, 300, 10))
TRAINING = replace(
    OPEN,
    cases=replace(OPEN.cases, labels_are_settled=True),
    train=replace(
        OPEN.train,
        can_change=frozenset(),
        train=Action(text="Train round 1", tool_tip="A round is being trained."),
        pause=CAN,
        stop=CAN,
        is_running=True,
        fraction=0.45,
        stage="Training, step 300 of 600",
        time_left="about 3 min left",
        loss=Curve("loss", STEPS, tuple(0.2 + 1.1 * 0.97**step for step in STEPS)),
        validation=Curve("validation Dice", (0.0, 100.0, 200.0), (0.41, 0.68, 0.79)),
        log=("Round 1 began.", "Learning from 2 volumes.", "Step 300: validation Dice 0.79"),
    ),
)
QUEUE = (
    QueueRow("heart 4", "31 %", "Slices 3 to 5 are unsure", ""),
    QueueRow("heart 3", "12 %", "The myocardium has a gap", ""),
    QueueRow("heart 6", "4 %", "Sure everywhere", "accepted"),
)
REVIEW = replace(
    OPEN,
    cases=replace(
        OPEN.cases,
        rows=(
            row(1, CaseRole.ANNOTATED, "annotated"),
            row(3, CaseRole.UNLABELLED, "to review", "12 %"),
            row(4, CaseRole.UNLABELLED, "to review", "31 %"),
            row(6, CaseRole.UNLABELLED, "accepted", "4 %", "accepted"),
        ),
        labels_are_settled=True,
    ),
    review=ReviewState(
        queue=QUEUE,
        case_id="heart 4",
        progress="1 of 3 reviewed, about 2 min left",
        reason="Slices 3 to 5 are unsure",
        accept=Action(enabled=True, text="Accept"),
        identity=identity_of("heart 4"),
        reject=CAN,
        take_back=cannot("There is no verdict to take back."),
        previous_case=cannot("This is the first case in the list."),
        next_case=CAN,
        next_doubt=CAN,
        compare=CAN,
    ),
    rounds=RoundsState(
        sentence=PLAN,
        rows=(
            RoundRow(0, "finished", "1 human", "0.61", "0.70 (3 cases)", "21 %"),
            RoundRow(1, "in review", "1 human, 3 pseudo-labels", "0.79", "", "14 %"),
        ),
        quality=Curve("validation Dice", (0.0, 1.0), (0.61, 0.79)),
        train=Action(enabled=True, text="Train round 2", tool_tip=PLAN),
        open_report=CAN,
        show_result=CAN,
        go_back=CAN,
    ),
    use=UseState(
        model="Segments left ventricle, myocardium. Trained in round 1 on 4 volumes.",
        apply=CAN,
        cancel=cannot("Nothing is being segmented."),
        save_model=CAN,
        load_model=CAN,
    ),
)
EDITED = replace(
    REVIEW,
    review=replace(
        REVIEW.review,
        accept=Action(enabled=True, text="Save correction"),
        extents=(
            ExtentChoice(TruthExtent.CHANGED_SLICES, "the slice that I changed (k = 0)"),
            ExtentChoice(TruthExtent.CHANGED_VOXELS, "the 1 voxel that I changed, and 3 mm around"),
            ExtentChoice(TruthExtent.WHOLE, "all 12 slices"),
        ),
    ),
)
FAULT = replace(
    OPEN,
    message=Message(
        Light.RED,
        "The training ended: the disk of the project is full (0.1 GB left).",
        "Free some space; the round goes on where it stopped.",
        Action(enabled=True, text="Continue round 1"),
    ),
)
USING = replace(
    REVIEW,
    use=replace(
        REVIEW.use,
        apply=cannot("Volumes are being segmented."),
        cancel=CAN,
        is_running=True,
        stage="heart 8: slice 20 of 40",
        fraction=0.5,
        results=("heart 7: heart 7.seg.nrrd", "heart 8 is unlike the training volumes"),
    ),
)


def fix_button(text: str) -> Action:
    """The button beside a finding."""
    return Action(enabled=True, text=text, tool_tip="Mends it.")


def proposed(words: str, value: str) -> ProposedCodes:
    """What a structure may be."""
    structure = Code("SCT", "123037004", "Anatomical Structure")
    return ProposedCodes(words, Terminology(structure, Code("SCT", value, words)))


FINDINGS = (
    FindingRow(
        Light.RED,
        "The label 'myocardium' has no codes that say what it is. Choose what it is in the "
        "project's labels; its name is like: Myocardium.",
        ExportFix.CHOOSE_CODES,
        fix_button("Choose..."),
        label_value=2,
        proposals=(proposed("Myocardium", "74281007"), proposed("Heart", "80891009")),
    ),
    FindingRow(
        Light.RED,
        "Case 'heart 5' did not come from a DICOM series, or was added before the project "
        "recorded series.",
        ExportFix.NOT_FROM_DICOM,
        fix_button("Choose..."),
        "heart 5",
    ),
    FindingRow(
        Light.RED,
        "The series of case 'heart 3' is not in '/scans/3'. Give the folder to which it moved.",
        ExportFix.FIND_SERIES,
        fix_button("Look in..."),
        "heart 3",
    ),
    FindingRow(
        Light.RED,
        "Case 'heart 4': 'myocardium' has 3120 voxels on the grid of the series, 3122 on its own. "
        "Confirm that these voxels may change, or segment the series itself.",
        ExportFix.ACCEPT_LOSSES,
        fix_button("Accept..."),
        "heart 4",
    ),
    FindingRow(Light.AMBER, "Case 'heart 6': 'myocardium' has no voxels; it is described."),
    FindingRow(
        Light.AMBER,
        "Proposals that nobody has reviewed are left out: 2.",
        ExportFix.INCLUDE_UNREVIEWED,
        fix_button("Include them"),
    ),
)
EXPORT_CHECKED = replace(
    REVIEW,
    export=replace(
        OPEN.export,
        summary=MarkedLine(Light.RED, "First fix the lines marked in red, then export to DICOM."),
        findings=FINDINGS,
    ),
)
EXPORTING = replace(
    REVIEW,
    export=replace(
        OPEN.export,
        note="",
        check=cannot("An export is running; wait, or stop it."),
        export=cannot("An export is running; wait, or stop it."),
        cancel=CAN,
        summary=MarkedLine(Light.GREEN, "Ready for DICOM: 3 volumes."),
        is_running=True,
        stage="Writing 'heart 6' and reading it back (3 of 3)",
        fraction=0.8,
        results=(
            MarkedLine(
                Light.GREEN,
                "heart 1: heart 1.12345678.dcm (annotated), read back: no voxel differs",
            ),
            MarkedLine(
                Light.RED,
                "heart 3: not exported: The series of case 'heart 3' is not in '/scans/3'.",
            ),
        ),
    ),
)


def phantom_files(folder: Path, case_id: str, round_index: int = 1) -> CaseFiles:
    """Write the arrays of a case: a bright ball with two structures, and a doubtful rim."""
    folder.mkdir(parents=True, exist_ok=True)
    k, j, i = np.indices(SHAPE)
    radius = np.sqrt((i - 20) ** 2 + (j - 20) ** 2 + (3 * (k - 6)) ** 2)
    labels = np.where(radius < 7, 1, np.where(radius < 12, 2, 0)).astype(np.int16)
    doubt = np.exp(-((radius - 12) ** 2) / 4).astype(np.float32)
    arrays = {
        "image": (200 * (radius < 7) + 90 * (radius < 12) + 20).astype(np.int16),
        "proposal": labels,
        "previous": np.where(radius < 9, 2, 0).astype(np.int16),
        "uncertainty": doubt,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    paths = {name: str(folder / f"{name}.npy") for name in arrays}
    return CaseFiles(
        case_id=case_id,
        round_index=round_index,
        geometry=GEOMETRY,
        image=paths["image"],
        proposal=paths["proposal"],
        reviewed=None,
        annotation=None,
        previous=paths["previous"],
        uncertainty=paths["uncertainty"],
        slicing_axis=2,
        doubtful_slices=(3, 8, 5),
        identity=identity_of(case_id, round_index),
    )
