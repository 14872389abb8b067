"""``python -m minillm``: the one door to the course."""

import sys

from minillm.course.cli import main

if __name__ == "__main__":
    sys.exit(main())
