"""DICOM segmentation objects as another program writes them, of any kind, for any series."""

import warnings

import highdicom as hd
import numpy as np
import pydicom

from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

KIDNEY, LIVER, SPLEEN = (propose_terminology(n)[0] for n in ("left kidney", "liver", "spleen"))


def structures(shape):
    """A kidney and a liver on slices 2..5 of eight, apart from each other."""
    kidney, liver = np.zeros(shape, bool), np.zeros(shape, bool)
    kidney[2:5, 1:6, 3:9] = kidney[3, 6, 4] = True
    liver[3:6, 7:11, 2:14] = True
    return kidney, liver


def described(number, name, terminology=None):
    codes = (
        (terminology.category, terminology.type) if terminology else (LIVER.category, LIVER.type)
    )
    category, type_ = (hd.sr.CodedConcept(c.value, c.scheme, c.meaning) for c in codes)
    made = hd.seg.SegmentDescription(
        segment_number=number, segment_label=name, segmented_property_category=category,
        segmented_property_type=type_, algorithm_type="MANUAL",
    )  # fmt: skip
    modifier = terminology.type_modifier if terminology else None
    if modifier is not None:
        concept = hd.sr.CodedConcept(modifier.value, modifier.scheme, modifier.meaning)
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            concept
        ]
    return made


def write_object(path, series, masks, segments, kind="BINARY", **more):
    """Write an object with highdicom; sources in the order of positions."""
    sources = [pydicom.dcmread(file) for file in series.files]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = np.stack(masks, axis=-1)
        if kind == "FRACTIONAL":
            more["fractional_type"], pixels = "PROBABILITY", pixels.astype(np.float32) * 0.5
            more["max_fractional_value"] = 200
        hd.seg.Segmentation(
            source_images=sources, pixel_array=pixels if kind == "FRACTIONAL" else
            pixels.astype(np.uint8), segmentation_type=kind, segment_descriptions=segments,
            series_instance_uid=hd.UID(), series_number=2, sop_instance_uid=hd.UID(),
            instance_number=1, manufacturer="m", manufacturer_model_name="m",
            software_versions="1", device_serial_number="1", **more,
        ).save_as(path)  # fmt: skip
    return path
