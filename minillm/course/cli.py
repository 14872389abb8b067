"""The command line: ``python -m minillm COMMAND``.

Each command lives in a module of its own with a ``main(argv) -> int`` and its own ``--help``. The module
is imported only when its command is called, so that help and typing errors are answered at once, without
loading torch.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from minillm import __version__
from minillm.course.names import UserError, did_you_mean

STUDENT = {
    "learn": ("minillm.course.learn", "open the next lesson in JupyterLab; start here"),
    "check": ("minillm.course.check", "check your answers: all, one lesson (02) or one exercise"),
    "hint": ("minillm.course.hint", "one more hint for an exercise, each time you ask"),
    "progress": ("minillm.course.progress", "what you have solved so far, with points"),
    "reset": ("minillm.course.reset", "put a blank back; what you wrote is kept in a backup"),
    "update": ("minillm.course.update", "bring a new version of a lesson into your copy"),
}
COURSE = {
    "run": ("minillm.course.run", "execute every lesson with the worked solutions, and write a report"),
    "measure": ("minillm.course.measure", "train and measure over several seeds, into data/measured/"),
    "bench": ("minillm.bench", "how fast the model trains and writes on this machine"),
}
MAINTAINER = {
    "build": ("minillm.course.build", "build lessons/ and solutions/*.ipynb from the masters"),
    "data": ("minillm.tinyland.build", "write data/ from its seed"),
}
COMMANDS = STUDENT | COURSE | MAINTAINER


def build_parser() -> argparse.ArgumentParser:
    """The parser of the first word; the rest of the line belongs to the command."""
    groups = (("for students", STUDENT), ("the whole course", COURSE), ("for maintainers", MAINTAINER))
    listing = "\n\n".join(
        f"{title}:\n" + "\n".join(f"  {name:<10}{text}" for name, (_, text) in commands.items())
        for title, commands in groups
    )
    parser = argparse.ArgumentParser(
        prog="python -m minillm",
        usage="python -m minillm COMMAND [options]",
        description="A course in which you build every piece of alignment, on a laptop, offline.",
        epilog=f"{listing}\n\n`python -m minillm COMMAND --help` tells more about one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"minillm {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 all well, 1 not, 2 a wrong call, 130 stopped by Ctrl-C."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not argv or argv[0].startswith("-"):
        parser.parse_args(argv)
        parser.print_help()
        return 0
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        print(f"There is no command {name!r}.{did_you_mean(name, COMMANDS)}", file=sys.stderr)
        print("`python -m minillm --help` lists them all.", file=sys.stderr)
        return 2
    try:
        return _call(name, rest)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has gone: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _call(name: str, rest: list[str]) -> int:
    module = importlib.import_module(COMMANDS[name][0])
    status = module.main(rest)
    return int(status or 0)
