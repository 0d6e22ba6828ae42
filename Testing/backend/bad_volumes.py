"""Kinds of bad volumes, segmentations, tables and settings, each with words of its message."""

import bad_files as bad
import numpy as np
from a_service import LABELS, SIZE, labels, voxels

NAN, INF = (np.where(labels() > 1, np.float32(x), voxels()) for x in (np.nan, np.inf))
NOWHERE = "nowhere/volume.nii.gz"
FOUR_D = np.zeros((*SIZE, 2), np.int16)


def table(*lines):
    """Create from a table of these lines; its header comes first."""

    def arguments(service):
        return ["create", service.new, "--table", service.text("cases.csv", "\n".join(lines))]

    return arguments


def image(make):
    """Create with a bad image; `make` returns its path, or an array to write."""

    def arguments(service):
        made = make(service)
        return service.create(made if isinstance(made, str) else service.write("bad.nrrd", made))

    return arguments


def segmentation(make, *more):
    def arguments(service):
        made = make(service)
        made = made if isinstance(made, str) else service.write("bad-label.nrrd", made)
        return service.create(None, made, *more)

    return arguments


def create(*more):
    return lambda service: service.create(None, None, *more)


def unlabelled(make):
    return lambda service: service.create(None, None, "--unlabelled", make(service))


IMAGES = {
    "missing file": (image(lambda d: str(d.path("gone.nii.gz"))), "gone.nii.gz", "was not found"),
    "folder instead of file": (image(bad.folder), "folder", "no DICOM slices"),
    "empty file": (image(lambda d: d.text("bad.nii.gz", "")), "bad.nii.gz", "empty"),
    "text as nii.gz": (image(lambda d: d.text("bad.nii.gz", "hello")), "bad.nii.gz", "not a NIfTI"),
    "text as nrrd": (image(lambda d: d.text("bad.nrrd", "hello")), "bad.nrrd"),
    "unknown ending": (image(lambda d: d.text("bad.docx", "hello")), "bad.docx", "unknown format"),
    "cut nii.gz": (image(lambda d: bad.cut(d, "heart.nii.gz", "b.nii.gz")), "b.nii.gz", "cut off"),
    "cut nrrd": (
        image(lambda d: d.write("a.nrrd", voxels()) and bad.cut(d, "a.nrrd", "b.nrrd")),
        "b.nrrd", "cut off",
    ),
    "wrong gzip checksum": (image(bad.wrong_checksum), "crc.nii.gz", "compression is broken"),
    "png as nrrd": (image(lambda d: bad.png_as(d, "bad.nrrd")), "bad.nrrd", "not the kind of file"),
    "NaN": (image(lambda _: NAN), "'bad'", "whose intensity is not a finite number"),
    "infinite": (image(lambda _: INF), "'bad'", "whose intensity is not a finite number"),
    "constant": (image(lambda _: np.full(SIZE[::-1], 7, np.int16)), "'bad'", "constant"),
    "two frames": (image(lambda d: bad.nifti(d, "b.nii.gz", FOUR_D)), "b.nii.gz", "2 volumes"),
    "colours": (
        image(lambda d: bad.nifti(d, "b.nii", np.zeros(SIZE, [(c, "u1") for c in "RGB"]))),
        "b.nii", "colours",
    ),
    "complex numbers": (
        image(lambda d: bad.nifti(d, "b.nii", np.zeros(SIZE, np.complex64))), "b.nii", "complex",
    ),
    "one slice, annotated": (image(lambda _: voxels()[:1]), "'bad'", "1 slice"),
    "2-D, annotated": (image(lambda _: voxels()[0]), "'bad'", "1 slice"),
    "huge spacing": (
        image(lambda d: d.write("bad.nrrd", voxels(), spacing=(1e6, 1e6, 1e6))),
        "'bad'", "1e+06 x 1e+06 x 1e+06 mm",
    ),
    "zero spacing": (
        image(lambda d: bad.nrrd(d, "b.nrrd", space_directions="(0,0,0) (0,1,0) (0,0,1)")),
        "b.nrrd",
    ),
    "zero spacing, NIfTI": (image(lambda d: bad.nifti_spacing(d, "b.nii", 0.0)), "b.nii"),
    "negative spacing": (
        image(lambda d: bad.nifti_spacing(d, "b.nii", -1.5)), "heart-label", "same-shape",
    ),
    "spacing that is no number": (
        image(lambda d: bad.nifti_spacing(d, "b.nii", float("nan"))), "b.nii",
    ),
    # ITK turns the axis round, so that the volume lies beside its segmentation
    "negative spacing, NRRD": (image(lambda d: bad.nrrd_spacing(d, "-1.5 1.5 8")), "heart-label"),
    "negative spacing, MetaImage": (image(lambda d: bad.metaimage(d, "-1.5 1.5 8")), "heart-label"),
    "tiny spacing": (
        image(lambda d: d.write("bad.nrrd", voxels(), spacing=(1e-6, 1e-6, 1e-6))),
        "'bad'", "1e-06 x",
    ),
    "singular direction": (
        image(lambda d: bad.nrrd(d, "b.nrrd", space_directions="(1,0,0) (1,0,0) (0,0,1)")),
        "b.nrrd",
    ),
    "unlabelled volume of NaN": (
        unlabelled(lambda d: d.write("b.nrrd", np.full_like(voxels(), np.nan))),
        "'b'", "whose intensity is not a finite number",
    ),
    "slices of few pixels": (image(lambda _: voxels()[:, :4, :4]), "'bad'", "4 x 4 pixels"),
}  # fmt: skip

SEGMENTATIONS = {
    "swapped": (lambda d: d.create(d.label, d.image), "heart.nii.gz", "looks like an image"),
    "swapped, labels given": (
        lambda d: d.create(d.label, d.image, "--labels", LABELS), "heart-label", "swapped",
    ),
    "image twice": (
        lambda d: d.create(d.label, d.label), "heart-label.nii.gz", "as the image and as",
    ),
    "another patient": (
        segmentation(lambda d: bad.shifted_labels(d, "l.nrrd", 900.0)),
        "l.nrrd", "puts them elsewhere",
    ),
    "label 255": (
        segmentation(lambda _: labels() * 127 + 1, "--labels", LABELS), "bad-label.nrrd", "255",
    ),
    "negative labels": (segmentation(lambda _: -labels().astype(np.int16)), "bad-label", "-2 to 0"),
    "fractions": (segmentation(lambda _: labels() * np.float32(0.5)), "bad-label", "fractions"),
    "empty segmentation": (segmentation(lambda _: labels() * 0), "bad-label", "empty"),
    "empty segmentation, labels given": (
        segmentation(lambda _: labels() * 0, "--labels", LABELS), "bad-label", "empty",
    ),
    "damaged segmentation": (
        segmentation(lambda d: bad.cut(d, "heart-label.nii.gz", "l.nii.gz", 0.9)), "l.nii.gz",
        "cut off",
    ),
    "segment with a damaged key": (
        segmentation(bad.segments_with_a_damaged_key), "bad.seg.nrrd", "Save",
    ),
    "missing segmentation": (segmentation(lambda d: str(d.path("l.nii.gz"))), "l.nii.gz"),
}  # fmt: skip

DICOM = {
    "empty DICOM folder": (unlabelled(bad.folder), "folder", "No volume was found"),
    "folder of text": (
        unlabelled(lambda d: bad.folder(d) if d.text("folder.txt", "x") else ""), "folder",
    ),
    "mixed series": (
        unlabelled(lambda d: bad.dicom(d, series=(1, 1, 1, 2, 2))), "series", "2 series",
    ),
    "missing slice": (
        unlabelled(lambda d: bad.dicom(d, heights=(0, 8, 24, 32))), "1 missing", "001.dcm",
    ),
    "unequal slices": (
        unlabelled(lambda d: bad.dicom(d, heights=(0, 8, 19, 24, 32))), "unequally spaced",
    ),
    "slices twice": (
        unlabelled(lambda d: bad.dicom(d, heights=(0, 0, 8, 8))), "series", "same place",
    ),
}  # fmt: skip

NAMES = {
    "duplicate ids": (
        lambda d: d.create(None, None, "--unlabelled", bad.copy_of_image(d, "sub/heart.nii.gz")),
        "'heart'", "sub",
    ),
    "duplicate ids but for case": (
        lambda d: d.create(None, None, "--unlabelled", bad.copy_of_image(d, "sub/HEART.nii.gz")),
        "'HEART'",
    ),
    "second of two volumes is bad": (
        lambda d: ["add", d.project, "--unlabelled", bad.copy_of_image(d, "sub/n.nii.gz"), NOWHERE],
        NOWHERE, "was not found",
    ),
    "known id": (
        lambda d: ["add", d.project, "--unlabelled", bad.copy_of_image(d, "sub/other-1.nii.gz")],
        "other-1",
    ),
    "id with a slash": (table("id,role,image", "a/b,unlabelled,heart.nii.gz"), "'a/b'", "Line 2"),
    "id that climbs": (table("id,role,image", "..,unlabelled,heart.nii.gz"), "'..'", "Line 2"),
    "id too long": (table("id,role,image", f"{'a' * 65},unlabelled,heart.nii.gz"), "64"),
    "reserved id": (table("id,role,image", "con.1,unlabelled,heart.nii.gz"), "'con.1'", "Windows"),
    "file name unfit for an id": (
        unlabelled(lambda d: bad.copy_of_image(d, "a:b.nii.gz")), "a:b.nii.gz",
    ),
}  # fmt: skip

TABLES = {
    "table is missing": (lambda d: ["create", d.new, "--table", d.table], "cases.csv"),
    "table lacks columns": (table("id,role", "a,unlabelled"), "cases.csv", "image"),
    "table with unknown role": (
        table("id,role,image", "a,segmented,heart.nii.gz"), "Line 2", "segmented",
    ),
    "table with an id twice": (
        table("id,role,image", "a,unlabelled,heart.nii.gz", "A,unlabelled,other-1.nii.gz"),
        "Line 3", "'A'",
    ),
    "table not UTF-8": (
        lambda d: ["create", d.new, "--table",
                   d.text("cases.csv", "id,role,image\nM\u00fcller,unlabelled,a", "latin-1")],
        "cases.csv", "UTF-8",
    ),
    "table in UTF-16 without mark": (
        lambda d: ["create", d.new, "--table",
                   d.text("cases.csv", "id,role,image\na,unlabelled,a.nii", "utf-16-le")],
        "cases.csv", "UTF-8",
    ),
    "table with a zero byte": (
        table("id,role,image", "a,unlabelled,heart\0.nii.gz"), "cases.csv",
    ),
    "table without lines": (table("id,role,image"), "cases.csv", "no case"),
    "table: annotated without segmentation": (
        table("id,role,image", "a,annotated,heart.nii.gz"), "'a'", "no segmentation",
    ),
    "table names a missing image": (
        table("id,role,image,annotation", "a,annotated,gone.nii.gz,heart-label.nii.gz"),
        "gone.nii.gz",
    ),
}  # fmt: skip

SETTINGS = {
    "unknown setting": (create("--set", "training.sed=1"), "training.sed", "seed"),
    "setting without value": (create("--set", "training.seed"), "'training.seed'", "NAME=VALUE"),
    "setting of another kind": (create("--set", "training.seed=soon"), "soon", "whole number"),
    "setting out of range": (
        create("--set", "preprocess.slicing_axis=7"), "slicing_axis", "0, 1, 2",
    ),
    "setting not finite": (
        create("--set", "training.joint.learning_rate=1e999"), "learning_rate", "finite",
    ),
    "nonsense labels": (create("--labels", "one=heart"), "'one=heart'", "1=right ventricle"),
    "labels with an odd digit": (create("--labels", "\u00b2=heart"), "is not a valid structure"),
    "label value out of range": (create("--labels", "99999=heart"), "99999"),
    "label values twice": (create("--labels", "1=a,1=b"), "same value"),
    "label names missing": (create("--labels", "1=,2=b"), "no name"),
    "labels longer than a file name": (
        create("--labels", ",".join(f"{n}=structure number {n}" for n in range(5, 30))),
        "heart-label", "the project does not have",
    ),
    "label file missing": (create("--labels", "labels.json"), "labels.json"),
    "label file damaged": (
        lambda d: d.create(None, None, "--labels", d.text("labels.json", '{"schema_version"')),
        "labels.json", "damaged",
    ),
    "label file newer": (
        lambda d: d.create(None, None, "--labels", d.text("l.json", '{"schema_version": 9}')),
        "l.json", "newer",
    ),
    "no annotated volume, no labels": (
        lambda d: ["create", d.new, "--unlabelled", d.image], "no annotated volume", "--labels",
    ),
    "no volume": (
        lambda d: ["create", d.new, "--labels", "1=heart"], "nothing to learn from", "--unlabelled",
    ),
    "more decoder blocks than basic-unet has": (
        create("--set", "network.backbone=basic-unet", "--pretraining", "global+local",
               "--set", "pretraining.global_local.num_decoder_blocks=5"),
        "num_decoder_blocks", "at most 4", "basic-unet",
    ),
}  # fmt: skip
