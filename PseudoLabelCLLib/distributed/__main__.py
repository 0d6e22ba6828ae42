"""One process of several, as `torchrun ... -m PseudoLabelCLLib.distributed JOB.json` starts it."""

import sys

from PseudoLabelCLLib.distributed.rank import main

if __name__ == "__main__":
    sys.exit(main())
