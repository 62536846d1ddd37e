"""`python -m seran_lib` is `seran`, also where the script is not on the path, as for torchrun."""

import sys

from seran_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
