"""``python -m minillm measure WHAT``: what a lesson has no time for, over several seeds, into data/measured/.

One training run is an anecdote. Each of these trains and measures the same thing with three seeds, from the shipped
stages with the reference solutions; lessons show the stored numbers beside the reader's own run. A test fails where a
recipe is no longer the one that was measured.
"""

import argparse
import importlib
from collections.abc import Sequence

MEASURES = {
    "frontier": ("minillm.course.frontier", "gold score against KL of every method: lessons 09 and 10"),
    "red-team": ("minillm.course.red_teamed", "attacks before and after mending: lesson 12, and its stages"),
    "steering": ("minillm.course.steered", "a direction of refusal added and ablated: lesson 13"),
    "deployment": ("minillm.course.deployments", "the assistant in its places, injection, the gate: lesson 14"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of them; what stands behind its name are its own options."""
    listing = "\n".join(f"  {name:<12}{text}" for name, (_, text) in MEASURES.items())
    parser = argparse.ArgumentParser(
        prog="python -m minillm measure",
        usage="python -m minillm measure WHAT [options]",
        description=__doc__.split("\n\n")[1],
        epilog=f"what there is:\n{listing}\n\n`python -m minillm measure WHAT --help` tells the options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="WHAT", choices=list(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    return importlib.import_module(MEASURES[options.what][0]).main(options.rest)
