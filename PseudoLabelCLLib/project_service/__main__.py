"""`python -m PseudoLabelCLLib.project_service`: requests come on stdin, answers go to stdout."""

import sys

from PseudoLabelCLLib.project_service.serve import main

if __name__ == "__main__":
    sys.exit(main())
