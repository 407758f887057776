#!/usr/bin/env python
"""Batchweb's command line in a checkout: `manage.py up` runs everything."""

import sys
from pathlib import Path

# PYTHONSAFEPATH keeps Python from doing so.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from batchweb.__main__ import main

if __name__ == "__main__":
    main()
