"""`python -m pipeline` is `retrain`."""

import sys

from pipeline.cli import main

sys.exit(main())
