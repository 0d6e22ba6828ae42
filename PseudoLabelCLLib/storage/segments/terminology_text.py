"""Terminology as 3D Slicer writes it into a segment: one line of text, to codes and back."""

from PseudoLabelCLLib.domain.segmentation import Code, Terminology

_CATEGORY_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGION_CONTEXT = "Anatomic codes - DICOM master list"
_NUM_PARTS = 7
_NO_CODE = "^^"
_SEPARATORS = str.maketrans("^~|", "   ")


def terminology_of(text: str) -> Terminology | None:
    """Read a terminology text; None if nothing was chosen or it is not such a text."""
    parts = text.split("~")
    if len(parts) != _NUM_PARTS:
        return None
    category, type_ = _code_of(parts[1]), _code_of(parts[2])
    if category is None or type_ is None:
        return None
    terminology = Terminology(
        category=category,
        type=type_,
        type_modifier=_code_of(parts[3]),
        region=_code_of(parts[5]),
        region_modifier=_code_of(parts[6]),
    )
    return None if terminology.is_slicers_default else terminology


def terminology_text(terminology: Terminology, like: str = "") -> str:
    """Write a terminology as Slicer does.

    Args:
        terminology: The codes.
        like: An earlier text of the same segment; the names of the lists are taken from it.
    """
    earlier = like.split("~")
    known = len(earlier) == _NUM_PARTS
    return "~".join(
        (
            earlier[0] if known else _CATEGORY_CONTEXT,
            _code_text(terminology.category),
            _code_text(terminology.type),
            _code_text(terminology.type_modifier),
            earlier[4] if known else _REGION_CONTEXT,
            _code_text(terminology.region),
            _code_text(terminology.region_modifier),
        )
    )


def _code_of(text: str) -> Code | None:
    parts = text.split("^")
    return Code(*parts) if len(parts) == 3 and parts[1] else None


def _code_text(code: Code | None) -> str:
    if code is None:
        return _NO_CODE
    # the separators cannot be escaped
    return "^".join(p.translate(_SEPARATORS) for p in (code.scheme, code.value, code.meaning))
