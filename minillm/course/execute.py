"""Executing one notebook from top to bottom in a kernel of its own, with a live view of where it is.

The kernel runs the interpreter that runs this, whatever kernels the machine has installed, and dies with it:
on Ctrl-C it is killed at once, and after a `kill -9` of this process it notices within a second or two.
What a lesson trains is saved in snapshots by the training loop, so nothing is lost but the last steps.
"""

import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4.rwbase import rejoin_lines

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Progress:
    """Where an execution is: cells are counted over the code cells that hold anything."""

    done: int = 0
    total: int = 0
    line: str = ""
    peak_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class CellFailed(Exception):
    """A cell raised, or the kernel died in it. ``cell`` counts code cells from 1."""

    def __init__(self, cell: int, source: str, name: str, traceback: str):
        super().__init__(f"cell {cell}: {name}")
        self.cell, self.source, self.name, self.traceback = cell, source, name, traceback

    def message(self, lines: int = 12) -> str:
        """The cell's first line, and the end of its traceback."""
        first = next((line for line in self.source.splitlines() if line.strip()), "")
        tail = "\n".join("    " + line for line in self.traceback.splitlines()[-lines:])
        return f"cell {self.cell} failed ({first.strip()[:70]})\n{tail}"


def execute(
    notebook: NotebookNode,
    progress: Progress,
    *,
    cwd: Path,
    environment: Mapping[str, str],
    on_change: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Execute ``notebook`` in place: old outputs go, new ones come; ``progress`` follows.

    cwd: folder the kernel starts in. environment: variables added to this process's own.
    on_change: called with the `Progress` at each new cell, each new line of output and twice a second.
    Raises CellFailed; the notebook then holds what ran until there, the error included.
    """
    rejoin_lines(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    progress.total = sum(bool(cell.source.strip()) for cell in code)
    with tempfile.TemporaryDirectory(prefix="minillm-ipython-") as profile:
        manager = _OwnKernel(**_channel(profile))
        client = _LiveClient(notebook, km=manager, timeout=None, store_widget_state=False, coalesce_streams=True)
        client.on_line = lambda line: _show(progress, line, on_change)
        try:
            with client.setup_kernel(cwd=str(cwd), env=_environment(environment, profile)):
                with _ticking(progress, manager, on_change):
                    _run_cells(client, code, progress, on_change)
        finally:
            _kill(manager)


def _run_cells(client: "_LiveClient", code: list[NotebookNode], progress: Progress, on_change: Callable) -> None:
    index_of = {id(cell): index for index, cell in enumerate(client.nb.cells)}
    for number, cell in enumerate(code, start=1):
        if not cell.source.strip():
            continue
        on_change(progress)
        try:
            client.execute_cell(cell, index_of[id(cell)], execution_count=number)
        except CellExecutionError as error:
            error_output = next((out for out in cell.outputs if out.output_type == "error"), None)
            trace = _ANSI.sub("", "\n".join(error_output.traceback)) if error_output else str(error)
            raise CellFailed(number, cell.source, error.ename, trace) from None
        except DeadKernelError:
            reason = "The kernel died. Most often the machine ran out of memory; closing other programs may help."
            raise CellFailed(number, cell.source, "the kernel died", reason) from None
        progress.done += 1
        progress.line = ""
    on_change(progress)


class _OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs this, whatever "python3" means to Jupyter on this machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class _LiveClient(NotebookClient):
    """A notebook client that also tells the last line of what the running cell prints."""

    on_line: Callable[[str], None]

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] == "stream":
            pieces = re.split(r"[\r\n]", _ANSI.sub("", msg["content"]["text"]))
            last = next((piece.strip() for piece in reversed(pieces) if piece.strip()), "")
            if last:
                self.on_line(last)
        return super().process_message(msg, cell, cell_index)


def _show(progress: Progress, line: str, on_change: Callable) -> None:
    progress.line = line
    on_change(progress)


class _ticking:
    """Calls ``on_change`` twice a second from a thread, and keeps the kernel's peak memory."""

    def __init__(self, progress: Progress, manager: AsyncKernelManager, on_change: Callable):
        self.progress, self.on_change = progress, on_change
        self.pid = getattr(manager.provisioner, "pid", None)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)

    def _tick(self) -> None:
        while not self.stop.wait(0.5):
            self._weigh()
            self.on_change(self.progress)

    def _weigh(self) -> None:
        try:
            resident = psutil.Process(self.pid).memory_info().rss
        except psutil.Error:
            resident = 0
        self.progress.peak_bytes = max(self.progress.peak_bytes, resident)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exception: object) -> None:
        self.stop.set()
        self.thread.join()
        self._weigh()


def _channel(folder: str) -> dict[str, str]:
    """Talk to the kernel through files that only this person can open, where the system has such; else through TCP."""
    return {"transport": "ipc", "ip": os.path.join(folder, "k")} if os.name == "posix" else {}


def _environment(extra: Mapping[str, str], profile: str) -> dict[str, str]:
    """This process's environment, without what a person's own IPython or matplotlib settings would change."""
    found = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in found if path),
        "PYTHONUTF8": "1",
        "IPYTHONDIR": profile,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        **extra,
    }


def _kill(manager: AsyncKernelManager) -> None:
    """End the kernel and whatever it started, now: its training snapshots are on the disk already."""
    pid = getattr(manager.provisioner, "pid", None)
    if pid is None or not psutil.pid_exists(pid):
        return
    try:
        kernel = psutil.Process(pid)
        family = [*kernel.children(recursive=True), kernel]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)
