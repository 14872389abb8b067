"""Props of the red team's lesson: frames, the form of a chat, and a function that wraps requests.

See `props.py` for what a prop is.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from minillm.course.props import Prop


@dataclass(frozen=True, eq=False)
class FrameOf(Prop):
    """A frame around a request (see `minillm.tinyland.attacks.Frame`)."""

    prompt: str
    rephrase: tuple[tuple[str, str], ...] = ()
    opening: str = ""
    closing: str = ""
    kind: str = "test"

    def make(self, live: Callable[[Prop], Any]) -> Any:
        from minillm.tinyland.attacks import Frame

        return Frame(self.kind, self.prompt, self.opening, self.closing, rephrase=self.rephrase)


@dataclass(frozen=True, eq=False)
class ChatForm(Prop):
    """render(messages, generation_prompt=False): turns as "[role] content", and "[answer]" as generation prompt.

    Not the form of lesson 04, so that whoever writes that form by hand is seen. ValueError for an unknown role.
    State: ``calls``, the arguments of each call: {"messages": ..., "generation_prompt": ...}.
    """

    def make(self, live: Callable[[Prop], Any]) -> Callable[..., str]:
        def form(messages: list[dict[str, str]], generation_prompt: bool = False) -> str:
            for message in messages:
                if message["role"] not in ("system", "user", "assistant"):
                    raise ValueError(f"role must be one of system, user, assistant, got {message['role']!r}")
            render.calls.append({"messages": deepcopy(messages), "generation_prompt": bool(generation_prompt)})
            turns = "".join(f"[{message['role']}] {message['content']}" for message in messages)
            return turns + ("[answer]" if generation_prompt else "")

        render: Any = form
        render.calls = []
        return render

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}


@dataclass(frozen=True, eq=False)
class Wrap(Prop):
    """wrap(request, kind) -> {"request": request, "kind": kind}, a record that cannot stand in a set."""

    def make(self, live: Callable[[Prop], Any]) -> Callable[[Any, str], dict[str, Any]]:
        return lambda request, kind: {"request": request, "kind": kind}
