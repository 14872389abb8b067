"""Wrong solutions of render_chat: what students write, and the word that the message must hold."""

from minillm.course.testing import mutant

OPEN = {"system": "<system> ", "user": "<user> ", "assistant": "<bot> "}


def check_roles(messages):
    for message in messages:
        if message["role"] not in OPEN:
            raise ValueError(f"unknown role {message['role']!r}")


@mutant("render_chat", names="<end> is missing")
def never_ends(messages, generation_prompt=False):
    check_roles(messages)
    text = "".join(OPEN[m["role"]] + m["content"] for m in messages)
    return text + "<bot>" * generation_prompt


@mutant("render_chat", names="closes every turn")
def ends_every_turn(messages, generation_prompt=False):
    check_roles(messages)
    text = "".join(OPEN[m["role"]] + m["content"] + "<end>" for m in messages)
    return text + "<bot>" * generation_prompt


@mutant("render_chat", names="space stands before")
def joined_by_spaces(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + (" <end>" if m["role"] == "assistant" else "") for m in messages]
    return " ".join(parts + ["<bot>"] * generation_prompt)


@mutant("render_chat", names="before <end>")
def space_before_end(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + (" <end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts) + "<bot>" * generation_prompt


@mutant("render_chat", names="no space follows")
def no_spaces(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]].strip() + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts) + "<bot>" * generation_prompt


@mutant("render_chat", names="line")
def one_turn_a_line(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "\n".join(parts + ["<bot>"] * generation_prompt)


@mutant("render_chat", names="a space follows the <bot>")
def prompt_with_a_space(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts) + "<bot> " * generation_prompt


@mutant("render_chat", names="ignored")
def ignores_the_generation_prompt(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts)


@mutant("render_chat", names="nobody asked")
def always_a_generation_prompt(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts) + "<bot>"


@mutant("render_chat", names="system message is left out")
def forgets_the_system(messages, generation_prompt=False):
    check_roles(messages)
    kept = [m for m in messages if m["role"] != "system"]
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in kept]
    return "".join(parts) + "<bot>" * generation_prompt


@mutant("render_chat", names="valueerror")
def unknown_roles_pass(messages, generation_prompt=False):
    parts = []
    for m in messages:
        opening = OPEN.get(m["role"], "<user> ")
        parts.append(opening + m["content"] + ("<end>" if m["role"] == "assistant" else ""))
    return "".join(parts) + "<bot>" * generation_prompt


@mutant("render_chat", names="<assistant>")
def role_names_as_tokens(messages, generation_prompt=False):
    check_roles(messages)
    parts = [f"<{m['role']}> {m['content']}" + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts) + "<assistant>" * generation_prompt


@mutant("render_chat", names="<end> is missing")
def last_answer_left_open(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages]
    return "".join(parts).removesuffix("<end>") + "<bot>" * generation_prompt


@mutant("render_chat", names="last two")
def one_turn_only(messages, generation_prompt=False):
    check_roles(messages)
    parts = [OPEN[m["role"]] + m["content"] + ("<end>" if m["role"] == "assistant" else "") for m in messages[-2:]]
    return "".join(parts) + "<bot>" * generation_prompt
