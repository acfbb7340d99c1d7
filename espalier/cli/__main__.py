"""`python -m espalier.cli`, the same as `espalier`: for torchrun, and where the command is not on the path."""

import sys

from espalier.cli import main

sys.exit(main())
