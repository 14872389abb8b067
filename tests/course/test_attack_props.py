"""Props of the red team's lesson: frames, the form of a chat, wrapped requests."""

import pytest

from minillm.course.attack_props import ChatForm, FrameOf, Wrap
from minillm.course.expect import CheckFailure
from minillm.course.handle import LocalHandle
from minillm.tinyland.attacks import Frame


def test_a_frame_is_the_real_one() -> None:
    def look(frame):
        assert isinstance(frame, Frame)
        return [frame.prompt, frame.rephrase, frame.opening, frame.closing, frame.changes_opening]

    frame = FrameOf("go : {request}", (("a ", "b "),), "ok ,", "bye .")
    assert LocalHandle(look, "look")(frame) == ["go : {request}", (("a ", "b "),), "ok ,", "bye .", True]


def test_a_chat_form_renders_and_remembers() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]

    def ask(render, messages):
        text = render(messages, generation_prompt=True)
        messages[0]["content"] = "changed"
        return [text, render(messages[1:])]

    outcome = LocalHandle(lambda render, m: ask(render, [dict(each) for each in m]), "ask").call(ChatForm(), messages)
    assert outcome.result == ["[system] s[user] u[answer]", "[user] u"]
    assert outcome.states[0]["calls"] == [
        {"messages": messages, "generation_prompt": True},
        {"messages": messages[1:], "generation_prompt": False},
    ]
    with pytest.raises(CheckFailure, match="role must be"):
        LocalHandle(lambda render: render([{"role": "teacher", "content": ""}]), "ask")(ChatForm())


def test_a_wrapped_request_is_a_record() -> None:
    assert LocalHandle(lambda wrap: wrap("hit", "song"), "wrap")(Wrap()) == {"request": "hit", "kind": "song"}
