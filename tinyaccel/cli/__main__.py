"""`python -m tinyaccel.cli`: the same as `tinyaccel`."""

import sys

from tinyaccel.cli.main import main

sys.exit(main())
