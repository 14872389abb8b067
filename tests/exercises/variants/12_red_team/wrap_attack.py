"""Right solutions of wrap_attack that look different."""

from copy import deepcopy

from minillm.course.testing import variant


@variant("wrap_attack")
def deep_copy(messages, frame, render_chat, prefill=""):
    turns = deepcopy(messages)
    last = turns[-1]
    if last["role"] != "user":
        raise ValueError(f"the last turn is the {last['role']}'s")
    for plain, changed in frame.rephrase:
        if last["content"].startswith(plain):
            last["content"] = changed + last["content"][len(plain) :]
    last["content"] = frame.prompt.replace("{request}", last["content"], 1)
    return " ".join([render_chat(turns, generation_prompt=True), *([prefill] if prefill else [])])


@variant("wrap_attack")
def split_at_the_place(messages, frame, render_chat, prefill=""):
    *earlier, last = messages
    if last["role"] != "user":
        raise ValueError("nothing to wrap")
    before, _, after = frame.prompt.partition("{request}")
    text = last["content"]
    for plain, changed in frame.rephrase:
        text = text.replace(plain, changed, 1) if text.startswith(plain) else text
    result = render_chat(messages=[*earlier, {**last, "content": before + text + after}], generation_prompt=True)
    if prefill:
        result += " " + prefill
    return result


@variant("wrap_attack")
def by_index(messages, frame, render_chat, prefill=""):
    if messages[-1].get("role") != "user":
        raise ValueError("the last turn must be the user's")
    content = messages[-1]["content"]
    for pair in frame.rephrase:
        if content.find(pair[0]) == 0:
            content = pair[1] + content[len(pair[0]) :]
    start = frame.prompt.index("{request}")
    wrapped = frame.prompt[:start] + content + frame.prompt[start + len("{request}") :]
    turns = [dict(each) for each in messages]
    turns[len(turns) - 1] = {"role": "user", "content": wrapped}
    return render_chat(turns, True) + (" " + prefill if prefill != "" else "")


@variant("wrap_attack")
def first_pair_that_fits(messages, frame, render_chat, prefill=""):
    if not messages or messages[-1]["role"] in ("system", "assistant"):
        raise ValueError("the conversation must end with the user")
    text = messages[-1]["content"]
    fitting = [(plain, changed) for plain, changed in frame.rephrase if text.startswith(plain)]
    if fitting:
        text = fitting[0][1] + text.removeprefix(fitting[0][0])
    text = text.join(frame.prompt.split("{request}"))
    chat = render_chat([*messages[:-1], {"role": "user", "content": text}], generation_prompt=True)
    return chat if not prefill else f"{chat} {prefill}"
