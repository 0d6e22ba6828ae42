"""Runs the module's self-test in a Slicer started with --python-script, and ends that Slicer.

Call: Slicer --no-splash [--no-main-window] --additional-module-paths FOLDER/PseudoLabelCL
--python-script FOLDER/Testing/slicer/run_self_test.py [PYTHON]. PYTHON is an interpreter that has
PyTorch, if Slicer's own has not. The exit code is 0 if all went well.
"""

import sys
import traceback

import slicer


def main():
    try:
        slicer.selfTests["PseudoLabelCL"](python=next(iter(sys.argv[1:]), ""))
    except Exception:  # noqa: BLE001 - whatever went wrong becomes the exit code
        traceback.print_exc()
        slicer.util.exit(1)
    else:
        print("The self-test of PseudoLabelCL went well.")
        slicer.util.exit(0)


main()
