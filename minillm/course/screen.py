"""What a long run shows in the terminal: a bar for the lesson and, under it, the running cell's last line.

Where the output is no terminal (a log file, continuous integration), whole lines are printed instead: the
start of a lesson, a sign of life every half minute, and its end.
"""

import shutil
import sys
import threading
import time
from typing import TextIO

from minillm.course.execute import Progress

BAR = 24


class Screen:
    """Shows one lesson at a time. Calls may come from several threads."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.title = ""
        self._drawn = False
        self._last = 0.0
        self._lock = threading.RLock()

    def start(self, title: str) -> None:
        self.title, self._last = title, time.monotonic()
        if not self.live:
            self.say(f"{title}  ...")

    def update(self, progress: Progress) -> None:
        """Redraw, at most ten times a second."""
        with self._lock:
            pause = 0.1 if self.live else 30.0
            if time.monotonic() - self._last < pause:
                return
            self._last = time.monotonic()
            if self.live:
                self._draw(bar_line(self.title, progress), f"    {progress.line}")
            else:
                self.say(f"{bar_line(self.title, progress)}  {progress.line}".rstrip())

    def say(self, text: str) -> None:
        """Print whole lines, above what is redrawn."""
        with self._lock:
            self.clear()
            print(text, file=self.stream, flush=True)

    def clear(self) -> None:
        """Take the two live lines away."""
        with self._lock:
            if self._drawn:
                self.stream.write("\r\x1b[J")
                self.stream.flush()
                self._drawn = False

    def _draw(self, first: str, second: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"\r\x1b[J{first[:width]}\n{second[:width]}\x1b[1A\r")
        self.stream.flush()
        self._drawn = True


def bar_line(title: str, progress: Progress) -> str:
    """``03 Pretraining      [############............]  19/38 cells   1:23``"""
    filled = BAR * progress.done // max(1, progress.total)
    bar = "#" * filled + "." * (BAR - filled)
    return f"{title:<22} [{bar}] {progress.done:>3}/{progress.total} cells {clock(progress.seconds):>7}"


def clock(seconds: float) -> str:
    """``1:23``; ``1:02:03`` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
