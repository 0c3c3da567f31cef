"""`python -m pipelines` is `visionloop`."""

import sys

from pipelines.cli import main

sys.exit(main())
