"""Scripts behind every number in the documentation."""

import sys
from pathlib import Path

# They find each other by name, whether one is run as a file or as a module of this package.
sys.path.insert(0, str(Path(__file__).parent))
