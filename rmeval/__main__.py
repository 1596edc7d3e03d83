"""`python -m rmeval` does the same as the console script `rmeval`."""

import sys

from rmeval.cli import main

sys.exit(main())
