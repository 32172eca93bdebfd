"""Makes harness.py importable for the integration tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
