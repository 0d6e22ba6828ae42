"""`python -m PseudoLabelCLLib`: the command line."""

import sys

from PseudoLabelCLLib.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
