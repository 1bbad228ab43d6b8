"""Lets `python -m simulation` run the simulation."""

import sys

from simulation.cli import main

if __name__ == "__main__":  # worker processes import this file too
    sys.exit(main())
