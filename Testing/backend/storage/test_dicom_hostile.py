"""Malformed and hostile DICOM: each is refused with its reason, and nothing is written."""

import shutil
import struct
import warnings

import dicom_phantoms as phantoms
import highdicom as hd
import numpy as np
import pydicom
import pytest
from object_segments import ABOUT, segment
from pydicom.sequence import Sequence

from PseudoLabelCLLib.domain.errors import (
    AnnotationError,
    PseudoLabelCLError,
    StorageError,
    VolumeError,
)
from PseudoLabelCLLib.storage.dicom import seg_reader
from PseudoLabelCLLib.storage.dicom.header import value_of
from PseudoLabelCLLib.storage.dicom.seg_reader import read_segmentation_object
from PseudoLabelCLLib.storage.dicom.seg_writer import write_segmentation_object
from PseudoLabelCLLib.storage.dicom.segment import ObjectDescription
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.dicom.structure_set import read_structure_set

pytestmark = pytest.mark.filterwarnings("ignore")
MIDDLE = 2  # which slice is changed


@pytest.fixture(scope="module")
def good_series(tmp_path_factory):
    return phantoms.write_series(tmp_path_factory.mktemp("good") / "series")


@pytest.fixture
def a_series(good_series, tmp_path):
    folder = shutil.copytree(good_series.folder, tmp_path / "series")
    return phantoms.Series(
        folder, tuple(folder / file.name for file in good_series.files), good_series.geometry,
        good_series.voxels,
    )  # fmt: skip


def one(**values):
    """Change one slice."""
    return lambda series: phantoms.changed(series.files[MIDDLE], **values)


def every(**values):
    """Change all slices alike."""
    return lambda series: [phantoms.changed(file, **values) for file in series.files]


def bytes_of_one(change):
    """Rewrite the bytes of one file."""

    def apply(series):
        file = series.files[MIDDLE]
        file.write_bytes(change(file.read_bytes()))

    return apply


def replaced(tag, old, new):
    """Put bytes in the place of as many others behind a tag of every slice."""

    def apply(series):
        for file in series.files:
            data = file.read_bytes()
            start = data.index(old, data.index(struct.pack("<HH", *tag)))
            file.write_bytes(
                data[:start] + new.ljust(len(old))[: len(old)] + data[start + len(old) :]
            )

    return apply


def moved(**shifts):
    """Move one slice by millimetres."""

    def apply(series):
        file = series.files[MIDDLE]
        position = pydicom.dcmread(file).ImagePositionPatient
        place = [float(x) + shifts.get(axis, 0) for x, axis in zip(position, "xyz", strict=True)]
        phantoms.changed(file, ImagePositionPatient=place)

    return apply


def tilted(series):
    for k, file in enumerate(series.files):
        position = [float(x) for x in pydicom.dcmread(file).ImagePositionPatient]
        position[1] += 0.8 * k
        phantoms.changed(file, ImagePositionPatient=position)


def copied(series):
    shutil.copy(series.files[0], series.folder / "copy.dcm")


def nested(depth):
    """Bytes of sequences in sequences of unknown length."""
    tag, end_item, end = b"\x12\x00\x64\x00", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
    opened = (tag + b"SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
    return opened + (end_item + bytes(4) + end + bytes(4)) * depth


def with_element(element):
    """Insert the bytes of an element before the patient's sex ... of one file."""

    def change(data):
        place = data.index(b"\x18\x00\x50\x00")
        return data[:place] + element + data[place:]

    return bytes_of_one(change)


def many_codes(series):
    item = pydicom.Dataset()
    item.CodeValue = "1"
    phantoms.changed(
        series.files[MIDDLE], DeidentificationMethodCodeSequence=Sequence([item] * 20_000)
    )


def deflated(series):
    file = series.files[MIDDLE]
    header = pydicom.dcmread(file)
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    header.save_as(file)


def only_a_directory(series):
    for file in series.files:
        file.unlink()
    (series.folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")


def emptied(series):
    for file in series.files:
        file.unlink()


def larger(series):
    file = series.files[MIDDLE]
    header = pydicom.dcmread(file)
    header.Rows, header.PixelData = 22, header.PixelData * 2
    header.save_as(file)


SOURCES = {
    "cut in the preamble": (bytes_of_one(lambda d: d[:100]), "missing"),
    "cut in the header": (bytes_of_one(lambda d: d[:500]), "damaged|cut off"),
    "cut in the last attribute": (bytes_of_one(lambda d: d[: d.index(b"\xe0\x7f\x10\x00") - 1]),
                                  "damaged|cut off"),
    "cut in the pixels": (bytes_of_one(lambda d: d[:-20]), "cut off"),
    "header without pixels": (bytes_of_one(lambda d: d[: d.index(b"\xe0\x7f\x10\x00")]), "cut off"),
    "empty file": (bytes_of_one(lambda _: b""), "1 missing"),
    "text called .dcm": (bytes_of_one(lambda _: b"hello" * 100), "1 missing"),
    "noise after the prefix": (
        bytes_of_one(lambda _: bytes(128) + b"DICM" + np.random.default_rng(1).bytes(4000)),
        "damaged|cut off|no UID|series",
    ),
    "attribute of four gigabytes": (
        with_element(b"\x18\x00\x20\x00UN\0\0\xf0\xff\xff\xff"), "damaged|cut off|4096 MB",
    ),
    "sequences three thousand deep": (with_element(nested(3000)), "damaged"),
    "sequence of twenty thousand items": (many_codes, "impossibly long"),
    "deflated as a whole": (deflated, "deflated"),
    "secondary capture": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "secondary capture"),
    "one secondary capture": (one(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "secondary capture"),
    "enhanced MR": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1"), "enhanced"),
    "enhanced CT": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1"), "enhanced"),
    "segmentation as source": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4"), "segmentation"),
    "dose": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.2"), "dose"),
    "contours": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3"), "contours"),
    "unknown kind": (every(SOPClassUID="1.2.3.4"), "of the kind 1.2.3.4"),
    "no kind": (every(SOPClassUID=None), "none named"),
    "CT among MR": (one(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "SOP Class UID"),
    "several frames": (every(NumberOfFrames=5), "5 frames"),
    "colour": (every(SamplesPerPixel=3), "colour"),
    "two series": (one(SeriesInstanceUID=f"{phantoms.SERIES}.9"), "2 series"),
    "no series UID": (every(SeriesInstanceUID=None), "no UID"),
    "two studies": (one(StudyInstanceUID="1.2.3"), "Study Instance UID"),
    "no study": (every(StudyInstanceUID=None), "Study Instance UID"),
    "two patients": (one(PatientID="P-2"), "Patient ID"),
    "no frame of reference": (every(FrameOfReferenceUID=None), "Frame of Reference"),
    "two frames of reference": (one(FrameOfReferenceUID="1.2.3"), "Frame of Reference"),
    "path as UID": (one(SOPInstanceUID="../../../etc/passwd"), "SOP Instance UID"),
    "markup as UID": (one(SOPInstanceUID="<b>1.2</b>"), "SOP Instance UID"),
    "UID of 80 digits": (one(SOPInstanceUID="1." + "2" * 78), "SOP Instance UID"),
    "UID with a leading zero": (every(FrameOfReferenceUID="1.02.3"), "Frame of Reference"),
    "two slices with one UID": (one(SOPInstanceUID=f"{phantoms.SERIES}.1"), "the same slice"),
    "copy of a slice": (copied, "the same slice"),
    "missing slice": (lambda s: s.files[MIDDLE].unlink(), "1 missing between"),
    "unequal spacing": (moved(z=0.7), "unequally spaced"),
    "two slices at one place": (moved(z=3.0), "same place"),
    "tilted gantry": (tilted, "gantry was tilted"),
    "one slice turned": (one(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "different directions"),
    "one slice mirrored": (one(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]), "different direct"),
    "one slice larger": (larger, "different sizes"),
    "one slice with other pixels": (one(PixelSpacing=[0.5, 0.5]), "different pixel sizes"),
    "no position": (every(ImagePositionPatient=None), "does not say where"),
    "position of two numbers": (one(ImagePositionPatient=[1, 2]), "does not say where"),
    "position in words": (replaced((0x20, 0x32), b"-20\\7.5", b"far\\out"), "does not say where"),
    "position that is no number": (
        replaced((0x20, 0x32), b"-20\\7.5", b"nan\\7.5"), "does not say where",
    ),
    "position beyond all numbers": (
        replaced((0x20, 0x32), b"-20\\7.5", b"9e9999\\"), "does not say where",
    ),
    "no orientation": (every(ImageOrientationPatient=None), "does not say where"),
    "orientation of zeros": (every(ImageOrientationPatient=[0] * 6), "contradicts itself"),
    "rows along columns": (every(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "contradicts itself"),
    "skewed pixels": (every(ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), "contradicts itself"),
    "orientation twice as long": (
        every(ImageOrientationPatient=[2, 0, 0, 0, 2, 0]), "contradicts itself",
    ),
    "no pixel spacing": (every(PixelSpacing=None), "does not say where"),
    "pixel spacing of zero": (every(PixelSpacing=[0, 1]), "contradicts itself"),
    "negative pixel spacing": (every(PixelSpacing=[-1, 1]), "contradicts itself"),
    "no rows": (every(Rows=None), "does not say where"),
    "zero rows": (every(Rows=0), "does not say where"),
    "only a DICOMDIR": (only_a_directory, "no DICOM slices"),
    "empty folder": (emptied, "no DICOM slices"),
    "no folder": (lambda s: shutil.rmtree(s.folder), "was not found"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_series_is_refused_with_its_reason(a_series, kind):
    spoil, words = SOURCES[kind]
    spoil(a_series)
    with pytest.raises(VolumeError, match=words) as refusal:
        read_source_series(a_series.folder)
    assert refusal.value.remedy


def test_unspoilt_series_is_read(a_series):
    assert read_source_series(a_series.folder).geometry.is_close_to(a_series.geometry)


@pytest.fixture(scope="module")
def good_object(good_series, tmp_path_factory):
    path = tmp_path_factory.mktemp("object") / "object.dcm"
    labels = phantoms.blobs(good_series.geometry)
    about = ObjectDescription("a", "b", "Doe^Jane", "0.1", 9000, "2.25.77")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_segmentation_object(
            path, read_source_series(good_series.folder), labels,
            [segment(n) for n in (1, 2, 3)], about,
        )  # fmt: skip
    return path


def bytes_changed(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def header_changed(**values):
    return lambda path: phantoms.changed(path, **values)


def fewer_descriptions(path):
    phantoms.changed(
        path,
        PerFrameFunctionalGroupsSequence=Sequence([pydicom.Dataset()]),
    )


OBJECTS = {
    "no DICOM": (bytes_changed(lambda _: b"hello" * 100), "not a DICOM file"),
    "empty": (bytes_changed(lambda _: b""), "not a DICOM file"),
    "cut in the header": (bytes_changed(lambda d: d[:900]), "damaged|none named"),
    "cut in the pixels": (bytes_changed(lambda d: d[:-9]), "damaged or cut off"),
    "noise": (
        bytes_changed(lambda _: bytes(128) + b"DICM" + np.random.default_rng(3).bytes(5000)),
        "damaged|none named",
    ),
    "an image": (header_changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "of the kind"),
    "label map": (header_changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7"), "label map"),
    "fractions": (header_changed(SegmentationType="FRACTIONAL"), "FRACTIONAL"),
    "eight bits": (header_changed(BitsAllocated=8), "one bit"),
    "a million frames": (header_changed(NumberOfFrames=999_999), "damaged or cut off"),
    "frames beyond all bounds": (header_changed(NumberOfFrames=2_000_000_000), "damaged"),
    "no frames": (header_changed(NumberOfFrames=None), "0 frames"),
    "negative frames": (header_changed(NumberOfFrames=-3), "-3 frames"),
    "no rows": (header_changed(Rows=0), "0 x 13"),
    "huge rows": (header_changed(Rows=65535), "bytes of pixels"),
    "frames not described": (fewer_descriptions, "1 of them described"),
    "no description of frames": (header_changed(PerFrameFunctionalGroupsSequence=None), "0 of"),
    "no pixels": (header_changed(PixelData=None), "0 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
def test_object_is_refused_with_its_reason(good_object, tmp_path, kind):
    spoil, words = OBJECTS[kind]
    path = shutil.copy(good_object, tmp_path / "object.dcm")
    spoil(path)
    with pytest.raises(AnnotationError, match=words) as refusal:
        read_segmentation_object(path)
    assert refusal.value.remedy


def test_random_damage_is_refused_or_harmless_and_never_a_crash(good_object, tmp_path):
    """Bytes of the header turned at random: the reader answers or refuses in a sentence."""
    rng, data = np.random.default_rng(11), bytearray(good_object.read_bytes())
    path, refusals = tmp_path / "object.dcm", []
    for _ in range(150):
        spoilt = bytearray(data)
        for place in rng.integers(132, len(data) - 300, 6):
            spoilt[place] = int(rng.integers(256))
        path.write_bytes(spoilt)
        try:
            read_segmentation_object(path)
        except PseudoLabelCLError as refusal:
            refusals.append(refusal.message)
    assert refusals
    assert [message for message in refusals if str(path) not in message] == []


class CodecError(Exception):
    """What no list of built-in errors would have foreseen."""


def raising(error):
    def fail(*_arguments, **_more):
        raise error

    return fail


READERS = {
    "series": (lambda series, _object: read_source_series(series.folder), VolumeError),
    "object": (lambda _series, path: read_segmentation_object(path), AnnotationError),
    "structure set": (lambda _series, path: read_structure_set(path), AnnotationError),
}


@pytest.mark.parametrize("kind", READERS)
def test_whatever_the_library_raises_on_a_file_is_told_as_damage(
    a_series, good_object, monkeypatch, kind
):
    read, refusal = READERS[kind]
    monkeypatch.setattr(pydicom, "dcmread", raising(CodecError("oops")))
    with pytest.raises(refusal, match="damaged"):
        read(a_series, good_object)


def test_value_that_the_library_fails_on_counts_as_missing(monkeypatch):
    header = pydicom.Dataset()
    header.Rows = 5
    monkeypatch.setattr(pydicom.Dataset, "get", raising(CodecError("oops")))
    assert value_of(header, "Rows") is None


def test_fault_of_our_own_is_not_told_as_damage_of_the_file(good_object, monkeypatch):
    monkeypatch.setattr(seg_reader, "_object_of", raising(KeyError("a fault")))
    with pytest.raises(KeyError, match="a fault"):
        read_segmentation_object(good_object)


def test_whatever_the_library_raises_on_writing_is_told_with_a_way_out(
    a_series, tmp_path, monkeypatch
):
    monkeypatch.setattr(hd.seg, "Segmentation", raising(CodecError("oops")))
    source = read_source_series(a_series.folder)
    masks = np.ones(source.geometry.array_shape, np.uint8)
    with pytest.raises(StorageError, match="could not be made: oops"):
        write_segmentation_object(tmp_path / "seg.dcm", source, masks, [segment(1)], ABOUT)
