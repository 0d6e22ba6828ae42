"""What the papers set for each of their data sets, beside a profile."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.config import Profile

# Settings as they are typed, such as "preprocess.in_plane_spacing_mm=1.5".
Settings = tuple[str, ...]


@dataclass(frozen=True)
class Preset:
    """The published settings of one data set.

    Args:
        data_set: What it is, for a person.
        settings: Those that differ from the profile's.
        source: Where they are published.
        of_the_code: Further ones that the published code has and the text does not, for `legacy`.
    """

    data_set: str
    settings: Settings
    source: str
    of_the_code: Settings = ()

    def settings_for(self, profile: Profile) -> Settings:
        """Return what it sets beside a profile."""
        return self.settings + (self.of_the_code if profile is Profile.LEGACY else ())


_CHAITANYA = "Chaitanya et al., Medical Image Analysis 2023, section 4.2, and their published code"
_ZENG = "Zeng et al., MICCAI 2021, and their published code"


def _grid(pixel_mm: float, side: int) -> Settings:
    return (
        f"preprocess.in_plane_spacing_mm={pixel_mm}",
        f"preprocess.window_size=[{side},{side}]",
    )


PRESETS = {
    "acdc": Preset("cine MR of the heart (ACDC)", _grid(1.36719, 192), _CHAITANYA),
    "prostate": Preset(
        "T2 MR of the prostate (Medical Segmentation Decathlon, task 5)",
        _grid(0.625, 192),
        _CHAITANYA,
        # slices with one of the two structures serve, not only those with both
        of_the_code=("training.joint.min_structures=1", "pseudo_label.clean_up.sigma_px=5"),
    ),
    "mmwhs": Preset("MR of the whole heart (MM-WHS)", _grid(1.5, 160), _CHAITANYA),
    "chd": Preset(
        "CT of hearts with congenital disease (CHD)",
        (
            "preprocess.window_size=[512,512]",
            "preprocess.bias_correction=false",
            "pretraining.positional.threshold=0.1",
        ),
        _ZENG,
    ),
    "hvsmr": Preset(
        "MR of hearts with congenital disease (HVSMR)",
        (*_grid(0.7, 352), "preprocess.bias_correction=false"),
        _ZENG,
    ),
}
