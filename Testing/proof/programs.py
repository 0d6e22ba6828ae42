"""Where dcmqi's programs lie; without libraries, so that who measures memory can import it."""

import shutil

_HOW_TO_GET = "Get it with 'pip install dcmqi', and name the folder of its programs with --dcmqi."


def find_program(name: str, programs: str | None = None) -> str:
    """Return a program of dcmqi.

    Raises:
        FileNotFoundError: It is nowhere.
    """
    found = shutil.which(name, path=programs)
    if found is None:
        raise FileNotFoundError(f"'{name}' of dcmqi was not found. {_HOW_TO_GET}")
    return found
