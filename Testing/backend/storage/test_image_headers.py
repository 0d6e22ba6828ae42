"""Headers of NRRD and MetaImage are checked before the library that trusts them sees the file.

Every bad header here breaks a rule of our own and is harmless to any library: it never gets there.
"""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from PseudoLabelCLLib.curation.find.find_volumes import grid_in_header
from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.storage.files import free_memory
from PseudoLabelCLLib.storage.files.free_memory import free_memory_bytes
from PseudoLabelCLLib.storage.images import itk_files
from PseudoLabelCLLib.storage.images.itk_files import check_header
from PseudoLabelCLLib.storage.volume_io import read_geometry, read_volume

SIZE = (5, 4, 3)
VOXELS = np.arange(60, dtype="<i2").reshape(SIZE[::-1])
DATA = VOXELS.tobytes()
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(1,0,0) (0,1,0) (0,0,2)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(0,0,0)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "0 0 0",
    "ElementSpacing": "1 1 2",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def changed(fields, changes):
    told = {**fields, **changes}
    return {name: value for name, value in told.items() if value is not None}


def write_nrrd(path, changes=(), more="", data=DATA, magic="NRRD0004"):
    lines = "".join(f"{name}: {value}\n" for name, value in changed(NRRD, dict(changes)).items())
    path.write_bytes(f"{magic}\n{lines}{more}\n".encode("latin-1") + data)
    return path


def write_meta(path, changes=(), more="", data=DATA):
    fields = changed(META, dict(changes))
    last = fields.pop("ElementDataFile", None)
    lines = "".join(f"{name} = {value}\n" for name, value in fields.items()) + more
    lines += "" if last is None else f"ElementDataFile = {last}\n"
    path.write_bytes(lines.encode("latin-1") + data)
    return path


@pytest.fixture
def no_library(monkeypatch):
    """Whoever hands a file to ITK fails the test."""

    class Refused:
        def __init__(self):
            pytest.fail("ITK was asked to read the file")

    monkeypatch.setattr(sitk, "ImageFileReader", Refused)


# --- what is read ---


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_itk_pass_and_their_voxels_are_counted(tmp_path, suffix, dtype, packed):
    for shape in ((4, 5), (3, 4, 5), (2, 3, 4, 5)):
        array = np.zeros(shape, dtype)
        path = tmp_path / f"{len(shape)}{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(path), packed)
        assert check_header(path) == array.nbytes


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_vectors_pass_with_all_their_components(tmp_path, suffix):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    assert check_header(tmp_path / f"a{suffix}") == 180


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, ""),
        ({}, "# a remark: of any kind\nkey:=any value: of any: length " + "x" * 30_000 + "\n"),
        ({}, "Segment0_Name:=M\xfcller\nwith:colon:=text\n"),
        ({"type": "int16"}, "line skip: 0\nbyte skip: 0\ncontent: a volume\n"),
        ({"space": "LPS", "kinds": None}, 'space units: "mm" "mm" "mm"\n'),
        (
            {"space": None, "space directions": None, "space origin": None},
            "spacings: 1 1 2\nthicknesses: nan nan 2\n",
        ),
        ({"space directions": "(1.0,0,-0.) (0,1e0,.0) (0,0,2.E+0)"}, ""),
    ],
)
def test_what_the_nrrd_format_allows_is_read(tmp_path, changes, more):
    volume = read_volume(write_nrrd(tmp_path / "a.nrrd", changes, more))
    assert np.array_equal(volume.array, VOXELS)
    assert volume.geometry.spacing_mm == (1, 1, 2)


def test_line_ends_of_windows_are_read(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd")
    head, data = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)
    assert check_header(path) == VOXELS.nbytes


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, ""),
        ({"BinaryData": "true", "CompressedData": "0"}, "Comment = a volume\n"),
        ({"ObjectType": None}, "0008|0060 = MR\nITK_InputFilterName = MetaImageIO\nOwn key =\n"),
        ({}, "AnatomicalOrientation = RAI\nCenterOfRotation = 0 0 0\nElementMin = -1.5\n"),
    ],
)
def test_what_the_metaimage_format_allows_is_read(tmp_path, changes, more):
    volume = read_volume(write_meta(tmp_path / "a.mha", changes, more))
    assert np.array_equal(volume.array, VOXELS)
    assert volume.geometry.spacing_mm == (1, 1, 2)


@pytest.mark.parametrize("folder", ["", "deeper/"])
def test_voxels_beside_their_header_are_read(tmp_path, folder):
    (tmp_path / "deeper").mkdir()
    (tmp_path / f"{folder}voxels.raw").write_bytes(VOXELS.tobytes())
    name = f"{folder}voxels.raw"
    nrrd = write_nrrd(tmp_path / "a.nhdr", {"data file": name}, data=b"")
    meta = write_meta(tmp_path / "a.mhd", {"ElementDataFile": name}, data=b"")
    for path in (nrrd, meta):
        assert np.array_equal(read_volume(path).array, VOXELS)


# --- what is refused ---

NRRD_FAULTS = {
    "no magic": ({}, "", "not the kind of file", {"magic": "NRRD9999"}),
    "no type": ({"type": None}, "", "lacks type"),
    "no sizes": ({"sizes": None}, "", "lacks sizes"),
    "unknown type": ({"type": "block"}, "", "'block' for 'type'"),
    "unknown encoding": ({"encoding": "bzip2"}, "", "'bzip2' for 'encoding'"),
    "unknown space": ({"space": "somewhere"}, "", "'somewhere' for 'space'"),
    "unknown endian": ({"endian": "middle"}, "", "'middle' for 'endian'"),
    "unknown field": ({}, "colour: red\n", "the line 'colour: red'"),
    "line without a meaning": ({}, "nothing\n", "the line 'nothing'"),
    "field twice": ({}, "type: short\n", "'type' twice"),
    "field twice by its other name": ({}, "datafile: a\ndata file: a\n", "'data file' twice"),
    "no axis": ({"dimension": "0"}, "", "'0' for 'dimension'"),
    "many axes": ({"dimension": "17"}, "", "'17' for 'dimension'"),
    "axes no number": ({"dimension": "three"}, "", "'three' for 'dimension'"),
    "long number": ({"dimension": "0" * 50 + "3"}, "", "for 'dimension'"),
    "few sizes": ({"sizes": "5 4"}, "", "'5 4' for 'sizes'"),
    "many sizes": ({"sizes": "5 4 3 1"}, "", "'5 4 3 1' for 'sizes'"),
    "size 0": ({"sizes": "5 0 3"}, "", "'0' for 'sizes'"),
    "negative size": ({"sizes": "5 -4 3"}, "", "'-4' for 'sizes'"),
    "giant size": ({"sizes": "5 4 99999999999"}, "", "'99999999999' for 'sizes'"),
    "more voxels than bytes": ({"sizes": "5 4 4"}, "", "120 bytes are too few"),
    "more voxels than could be packed": (
        {"sizes": "5000 4000 30", "encoding": "gzip"}, "", "120 bytes are too few",
    ),
    "few vectors": ({"space directions": "(1,0,0) (0,1,0)"}, "", "have 3 vectors"),
    "vector of two": ({"space directions": "(1,0,0) (0,1) (0,0,1)"}, "", "expected 3 numbers"),
    "vector of words": ({"space directions": "(a,b,c) (0,1,0) (0,0,1)"}, "", "expected 3 numbers"),
    "vector without an end": ({"space directions": "(1,0,0) (0,1,0) (0,0,1"}, "", "have 3 vectors"),
    "origin of two vectors": ({"space origin": "(0,0,0) (0,0,0)"}, "", "not have 1 vectors"),
    "origin that is no number": ({"space origin": "(0,nan,0)"}, "", "expected 3 numbers"),
    "number of any length": ({"space origin": f"(0,0,{'1' * 300})"}, "", "expected 3 numbers"),
    "few spacings": ({"space directions": None}, "spacings: 1 1\n", "expected 3 numbers"),
    "few kinds": ({"kinds": "domain"}, "", "not have 3 words"),
    "kind of any length": ({"kinds": f"domain domain {'d' * 99}"}, "", "not have 3 words"),
    "text without an end": ({}, 'units: "mm" "mm\n', "without an end"),
    "long line": ({}, f"content: {'x' * 3000}\n", "the line 'content: x"),
    "line of any length": ({}, f"key:={'x' * 70_000}\n", "line of its header has 70005"),
    "binary header": ({}, "content: \x01\n", "not text"),
    "negative skip": ({}, "byte skip: -2\n", "'-2' for 'byte skip'"),
    "skip over the voxels": ({}, "byte skip: 10\n", "110 bytes are too few"),
    "voxels elsewhere": ({"data file": "../a.raw"}, "", r"from elsewhere \('\.\./a\.raw'\)"),
    "voxels in the system": ({"data file": "/etc/hostname"}, "", "from elsewhere"),
    "voxels on another drive": ({"data file": "C:\\a.raw"}, "", "from elsewhere"),
    "voxels on another computer": ({"data file": "\\\\pc\\a.raw"}, "", "from elsewhere"),
    "voxels in many files": ({"data file": "a%03d.raw 1 3 1"}, "", "several files"),
    "voxels in a list": ({"data file": "LIST"}, "", "several files"),
    "voxels missing": ({"data file": "gone.raw"}, "", "'gone.raw' with its voxels is missing"),
}  # fmt: skip
META_FAULTS = {
    "no axes": ({"NDims": None}, "", "lacks NDims"),
    "no sizes": ({"DimSize": None}, "", "lacks DimSize"),
    "no end": ({"ElementDataFile": None}, "", "header"),
    "unknown type": ({"ElementType": "MET_STRING"}, "", "'MET_STRING' for 'ElementType'"),
    "another object": ({"ObjectType": "Tube"}, "", "'Tube' for 'ObjectType'"),
    "unknown flag": ({"BinaryData": "perhaps"}, "", "'perhaps' for 'BinaryData'"),
    "key twice": ({}, "NDims = 3\n", "'NDims' twice"),
    "key of any length": ({}, f"{'k' * 99} = 1\n", "the line 'kkk"),
    "line without a meaning": ({}, "nothing\n", "the line 'nothing'"),
    "many axes": ({"NDims": "11"}, "", "'11' for 'NDims'"),
    "few sizes": ({"DimSize": "5 4"}, "", "'5 4' for 'DimSize'"),
    "size 0": ({"DimSize": "5 4 0"}, "", "'0' for 'DimSize'"),
    "giant size": ({"DimSize": "5 4 99999999999"}, "", "'99999999999' for 'DimSize'"),
    "many spacings": ({"ElementSpacing": "1 1 1 1"}, "", "expected 3 numbers"),
    "spacing no number": ({"ElementSpacing": "1 one 1"}, "", "expected 3 numbers"),
    "few directions": ({"TransformMatrix": "1 0 0"}, "", "expected 9 numbers"),
    "many channels": ({}, "ElementNumberOfChannels = 5000\n", "'5000' for"),
    "more voxels than bytes": ({"DimSize": "5 4 4"}, "", "120 bytes are too few"),
    "more channels than bytes": ({}, "ElementNumberOfChannels = 3\n", "120 bytes are too few"),
    "more voxels than could be packed": (
        {"DimSize": "5000 4000 30", "CompressedData": "True"}, "", "120 bytes are too few",
    ),
    "long text": ({}, f"Comment = {'x' * 1000}\n", "1000 characters for 'Comment'"),
    "line of any length": ({}, f"Comment = {'x' * 9000}\n", "line of its header has 9010"),
    "binary header": ({}, "Comment = \x01\n", "not text"),
    "odd directions": ({}, "AnatomicalOrientation = R A I\n", "for 'AnatomicalOrientation'"),
    "packed size": ({}, "CompressedDataSize = -1\n", "'-1' for 'CompressedDataSize'"),
    "header size": ({}, "HeaderSize = -2\n", "'-2' for 'HeaderSize'"),
    "voxels elsewhere": ({"ElementDataFile": "../a.raw"}, "", "from elsewhere"),
    "voxels in the system": ({"ElementDataFile": "/etc/hostname"}, "", "from elsewhere"),
    "voxels in many files": ({"ElementDataFile": "a%03d.raw 1 3 1"}, "", "several files"),
    "voxels in a list": ({"ElementDataFile": "LIST"}, "", "several files"),
    "voxels missing": ({"ElementDataFile": "gone.raw"}, "", "'gone.raw' with its voxels"),
}  # fmt: skip
FAULTS = {
    **{f"nrrd, {name}": (write_nrrd, ".nrrd", *fault) for name, fault in NRRD_FAULTS.items()},
    **{f"mha, {name}": (write_meta, ".mha", *fault) for name, fault in META_FAULTS.items()},
}


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("name", FAULTS)
def test_header_that_breaks_a_rule_is_refused_in_a_sentence(tmp_path, name):
    write, suffix, changes, more, words, *options = FAULTS[name]
    path = write(tmp_path / f"a{suffix}", changes, more, **dict(*options))
    before = path.read_bytes()
    for read in (read_volume, read_geometry, grid_in_header):
        with pytest.raises(VolumeError, match=words) as caught:
            read(path)
        assert caught.value.remedy
    assert path.read_bytes() == before


def test_every_cut_of_a_header_is_refused_or_read(tmp_path):
    for write, suffix in ((write_nrrd, ".nrrd"), (write_meta, ".mha")):
        data = write(tmp_path / f"whole{suffix}").read_bytes()
        for end in range(0, len(data), 7):
            (tmp_path / f"a{suffix}").write_bytes(data[:end])
            with pytest.raises(VolumeError):
                check_header(tmp_path / f"a{suffix}")


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_pipe_is_refused_without_waiting(tmp_path, make_pipe, suffix):
    make_pipe(tmp_path / f"a{suffix}")
    for read in (read_volume, read_geometry, grid_in_header):
        with pytest.raises((VolumeError, StorageError), match="a pipe or a device"):
            read(tmp_path / f"a{suffix}")


@pytest.mark.usefixtures("no_library")
def test_pipe_in_the_place_of_the_voxels_is_refused(tmp_path, make_pipe):
    make_pipe(tmp_path / "voxels.raw")
    path = write_meta(tmp_path / "a.mhd", {"ElementDataFile": "voxels.raw"}, data=b"")
    with pytest.raises(StorageError, match="a pipe or a device"):
        read_volume(path)


# --- memory ---


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_voxels_that_memory_cannot_hold_are_refused_before_they_are_unpacked(
    tmp_path, monkeypatch, suffix
):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((40, 50, 60), np.int16)), str(path), True)
    monkeypatch.setattr(itk_files, "free_memory_bytes", lambda: 2 * 240_000 - 1)
    monkeypatch.setattr(itk_files, "check_nifti_file", None)  # it unpacks
    with pytest.raises(VolumeError, match="GB of memory"):
        read_volume(path)
    monkeypatch.undo()
    monkeypatch.setattr(itk_files, "free_memory_bytes", lambda: 2 * 240_000)
    assert read_volume(path).array.shape == (40, 50, 60)


def test_memory_that_the_system_does_not_tell_refuses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(itk_files, "free_memory_bytes", lambda: None)
    read_volume(write_nrrd(tmp_path / "a.nrrd"))


def test_free_memory_is_told_and_is_less_than_there_is():
    free = free_memory_bytes()
    assert free is not None
    assert 2**20 < free < 2**46


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("max", "5", 2048), ("1500", "500", 1000), ("1500", "1600", 0), ("9999999", "1", 2048)],
)
def test_limit_of_a_container_counts(tmp_path, monkeypatch, limit, used, expected):
    files = {"_MEMORY_INFO": "MemTotal: 9 kB\nMemAvailable: 2 kB\n", "_GROUP_LIMIT": limit}
    for number, (name, text) in enumerate(itertools.chain(files.items(), [("_GROUP_USE", used)])):
        (tmp_path / str(number)).write_text(text)
        monkeypatch.setattr(free_memory, name, tmp_path / str(number))
    monkeypatch.setattr(free_memory.sys, "platform", "linux")
    assert free_memory_bytes() == expected
