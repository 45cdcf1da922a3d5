"""`python -m gemsmith` is the command `gemsmith`."""

import sys

from gemsmith.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
