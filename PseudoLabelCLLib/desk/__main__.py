"""The entry: `python -m PseudoLabelCLLib.desk`; requests come on stdin, answers go to stdout."""

import sys

from PseudoLabelCLLib.desk.serve import main

if __name__ == "__main__":
    sys.exit(main())
