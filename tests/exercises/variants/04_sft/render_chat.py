"""Right solutions of render_chat that look different."""

from minillm.course.testing import variant


@variant("render_chat")
def with_match(messages, generation_prompt=False):
    text = ""
    for message in messages:
        match message["role"]:
            case "system":
                text += f"<system> {message['content']}"
            case "user":
                text += f"<user> {message['content']}"
            case "assistant":
                text += f"<bot> {message['content']}<end>"
            case other:
                raise ValueError(f"no such role: {other}")
    return text + ("<bot>" if generation_prompt else "")


@variant("render_chat")
def with_templates(messages, generation_prompt=False):
    forms = {"system": "<system> {}", "user": "<user> {}", "assistant": "<bot> {}<end>"}
    unknown = {message["role"] for message in messages} - set(forms)
    if unknown:
        raise ValueError(f"unknown roles: {unknown}")
    turns = [forms[message["role"]].format(message["content"]) for message in messages]
    if generation_prompt:
        turns += ["<bot>"]
    return "".join(turns)


@variant("render_chat")
def with_two_tables(messages, generation_prompt=False):
    starts, stops = {"system": "<system>", "user": "<user>", "assistant": "<bot>"}, {"assistant": "<end>"}
    pieces = []
    for message in messages:
        role = message["role"]
        try:
            pieces.extend([starts[role], " ", message["content"], stops.get(role, "")])
        except KeyError:
            raise ValueError(role) from None
    pieces.append(starts["assistant"] * bool(generation_prompt))
    return "".join(pieces)
