"""``python tests/fuzz/run.py --bodies 1000000`` runs the long form; see ``--help``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

# Behind what is installed: of an installed package, that one is tried and not the folder's.
sys.path += map(str, Path(__file__).resolve().parents[1:3])

if __name__ == "__main__":
    sys.exit(import_module("fuzz.long_form").main())
