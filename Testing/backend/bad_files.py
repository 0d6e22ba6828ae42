"""Files that are not what they should be; each maker returns the path as text."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib

import nibabel
import numpy as np
import SimpleITK as sitk
import torch
from a_service import SIZE, SPACING, labels, voxels, write_tiny_model

SERIES = "1.2.826.0.1.3680043.8.498.1"


def nifti(service, name, array):
    """Write an array (i, j, k, ...) with nibabel."""
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*SPACING, 1.0])), service.path(name))
    return str(service.path(name))


def nifti_spacing(service, name, spacing_mm):
    """Write a good NIfTI file and then another voxel size along i into its header."""
    nifti(service, name, voxels().T)
    data = bytearray(service.path(name).read_bytes())
    struct.pack_into("<f", data, 80, spacing_mm)  # pixdim[1]
    service.path(name).write_bytes(data)
    return str(service.path(name))


def nrrd_spacing(service, spacings):
    """Write an NRRD file without directions, as old programs do."""
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 32 32 5\nendian: little\nencoding: raw\n"
    data = np.arange(np.prod(SIZE), dtype="<i2").tobytes()
    service.path("b.nrrd").write_bytes(f"{head}spacings: {spacings}\n\n".encode() + data)
    return str(service.path("b.nrrd"))


def metaimage(service, spacings):
    np.arange(np.prod(SIZE), dtype="<i2").tofile(service.path("b.raw"))
    return service.text(
        "b.mhd",
        "ObjectType = Image\nNDims = 3\nDimSize = 32 32 5\nElementType = MET_SHORT\n"
        f"ElementSpacing = {spacings}\nElementDataFile = b.raw\n",
    )


def nrrd(service, name, **fields):
    """Write a raw NRRD file of short integers with the given header fields."""
    known = {"space": "left-posterior-superior", "sizes": " ".join(map(str, SIZE))}
    known |= {"space_directions": "(1,0,0) (0,1,0) (0,0,8)", "space_origin": "(0,0,0)"} | fields
    lines = "".join(f"{field.replace('_', ' ')}: {value}\n" for field, value in known.items())
    head = f"NRRD0004\ntype: short\ndimension: 3\nendian: little\nencoding: raw\n{lines}\n"
    data = np.arange(np.prod(SIZE), dtype="<i2").tobytes()
    service.path(name).write_bytes(head.encode() + data)
    return str(service.path(name))


def cut(service, source, name, fraction=0.5):
    """Write the first part of a file under another name."""
    data = service.path(source).read_bytes()
    service.path(name).write_bytes(data[: int(len(data) * fraction)])
    return str(service.path(name))


def wrong_checksum(service):
    """Write a .nii.gz whose data unpack well and whose CRC says otherwise."""
    data = bytearray(service.path("heart.nii.gz").read_bytes())
    assert struct.unpack("<I", data[-8:-4])[0] == zlib.crc32(gzip.decompress(bytes(data)))
    data[-8] ^= 0xFF
    service.path("crc.nii.gz").write_bytes(data)
    return str(service.path("crc.nii.gz"))


def png_as(service, name):
    """Write a photograph under a name of a volume."""
    sitk.WriteImage(sitk.GetImageFromArray(np.eye(32, dtype=np.uint8)), str(service.path("a.png")))
    return str(service.path("a.png").rename(service.path(name)))


def segments_with_a_damaged_key(service):
    """Write a .seg.nrrd with a key that is no text, and a label value that is no number."""
    image = sitk.GetImageFromArray(labels())
    for key, text in {"ID": "a", "Layer": "0", "LabelValue": "one"}.items():
        image.SetMetaData(f"Segment0_{key}", text)
    image.SetMetaData("SegmentX_Name", "heart")
    sitk.WriteImage(image, str(service.path("a.seg.nrrd")))
    data = service.path("a.seg.nrrd").read_bytes()
    service.path("bad.seg.nrrd").write_bytes(data.replace(b"SegmentX_Name", b"Segment\xff_Name"))
    return str(service.path("bad.seg.nrrd"))


def folder(service, name="folder"):
    service.path(name).mkdir()
    return str(service.path(name))


def dicom(service, name="series", heights=(0, 8, 16, 24, 32), series=None):
    """Write a folder of MR slices at heights in mm; `series` names each slice's series."""
    place = service.path(name)
    place.mkdir(exist_ok=True)
    for n, height in enumerate(heights):
        image = sitk.GetImageFromArray(voxels()[n % SIZE[2]].astype(np.int16))
        image.SetSpacing(SPACING[:2])
        uid = SERIES if series is None else f"{SERIES}.{series[n]}"
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4", "0008|0018": f"{uid}.{n + 1}",
            "0008|0060": "MR", "0020|000d": f"{SERIES}.99", "0020|000e": uid,
            "0020|0032": f"0\\0\\{height}", "0020|0037": "1\\0\\0\\0\\1\\0",
        }  # fmt: skip
        for tag, text in tags.items():
            image.SetMetaData(tag, text)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(place / f"{n:03d}.dcm"))
        writer.Execute(image)
    return str(place)


class Evil:
    """Unpickled, it writes a file: the proof that something was executed."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (self.trace, "w"))


def pickle_model(service, trace):
    service.path("evil.plcl").write_bytes(pickle.dumps(Evil(str(trace))))
    return str(service.path("evil.plcl"))


def saved_by_torch(service, trace):
    """Write what `torch.save` makes of an object with code, as a model file."""
    torch.save({"weights": Evil(str(trace))}, service.path("evil.plcl"))
    return str(service.path("evil.plcl"))


def model_with(service, **parts):
    """Rewrite the model file with other members: card=, weights=, earlier_weights=, extra=.

    Weights of an earlier version are what `torch.save` makes.
    """
    with zipfile.ZipFile(service.model) as archive:
        card, weights = archive.read("model.json"), archive.read("weights.safetensors")
    earlier = parts.get("earlier_weights")
    members = {
        "model.json": parts.get("card", card),
        "weights.safetensors": parts.get("weights", None if earlier else weights),
        "weights.pt": earlier,
    }
    members |= parts.get("extra", {})
    path = service.path("bad.plcl")
    with zipfile.ZipFile(path, "w", parts.get("packing", zipfile.ZIP_STORED)) as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return str(path)


def model_with_card(service, change):
    with zipfile.ZipFile(service.model) as archive:
        card = json.loads(archive.read("model.json"))
    change(card)
    return model_with(service, card=json.dumps(card).encode())


def model_with_code(service, trace):
    """Write a model file, right from the outside, whose weights would execute code."""
    buffer = io.BytesIO()
    torch.save({"encoder": Evil(str(trace))}, buffer)
    return model_with(service, earlier_weights=buffer.getvalue())


def bomb_in_weights(service):
    """Write a model file whose weights hold 64 MiB of zeros, packed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(64 * 2**20))
    return model_with(service, earlier_weights=buffer.getvalue())


def declared_bomb(service):
    """Write a small model file whose directory claims 3 GiB of weights."""
    data = bytearray(service.path("model.plcl").read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last of the central directory: the weights
    struct.pack_into("<I", data, entry + 24, 3 * 2**30)
    service.path("bad.plcl").write_bytes(data)
    return str(service.path("bad.plcl"))


def path_tricks_in_weights(service):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.pkl", b"x")
    return model_with(service, earlier_weights=buffer.getvalue())


def model_of(service, schema=None, **options):
    write_tiny_model(service.path("bad.plcl"), *([schema] if schema else []), **options)
    return str(service.path("bad.plcl"))


def proposal(service, case="other-1"):
    return str(service.path(f"project/rounds/round_00/proposals/{case}.seg.nrrd"))


def shifted_labels(service, name, mm, array=None):
    return service.write(name, labels() if array is None else array, origin=(mm, mm, mm))


def copy_of_image(service, name):
    path = service.path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(service.path("heart.nii.gz").read_bytes())
    return str(path)


def weights_of(model):
    with zipfile.ZipFile(model) as archive:
        return archive.read("weights.safetensors")


def flipped_byte(service):
    data = bytearray(service.path("model.plcl").read_bytes())
    data[len(data) // 2] ^= 0xFF
    service.path("flipped.plcl").write_bytes(data)
    return str(service.path("flipped.plcl"))


def all_ignored(told):
    for case in told["cases"]:
        case["role"] = "ignored"
