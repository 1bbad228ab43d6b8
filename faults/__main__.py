"""Lets `python -m faults` run the fault bench."""

import sys

from faults.cli import main

if __name__ == "__main__":
    sys.exit(main())
