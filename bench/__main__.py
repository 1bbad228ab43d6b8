"""Lets `python -m bench` run the bench."""

import sys

from bench.cli import main

sys.exit(main())
