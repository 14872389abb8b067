"""Wrong solutions of wrap_attack."""

from minillm.course.testing import mutant


def refuse(messages):
    if messages[-1]["role"] != "user":
        raise ValueError("the last turn must be the user's")


def rephrase(text, frame):
    for plain, changed in frame.rephrase:
        if text.startswith(plain):
            text = changed + text.removeprefix(plain)
    return text


def put(text, frame):
    return frame.prompt.replace("{request}", rephrase(text, frame))


def user(content):
    return {"role": "user", "content": content}


def finish(messages, content, render_chat, prefill=""):
    text = render_chat([*messages[:-1], user(content)], generation_prompt=True)
    return f"{text} {prefill}" if prefill else text


@mutant("wrap_attack", names="nothing is wrapped")
def not_wrapped(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, messages[-1]["content"], render_chat, prefill)


@mutant("wrap_attack", names="not the last")
def first_user_turn(messages, frame, render_chat, prefill=""):
    refuse(messages)
    place = next(i for i, each in enumerate(messages) if each["role"] == "user")
    turns = [user(put(each["content"], frame)) if i == place else each for i, each in enumerate(messages)]
    return render_chat(turns, generation_prompt=True) + (f" {prefill}" if prefill else "")


@mutant("wrap_attack", names="only the last one")
def every_user_turn(messages, frame, render_chat, prefill=""):
    refuse(messages)
    turns = [user(put(each["content"], frame)) if each["role"] == "user" else each for each in messages]
    return render_chat(turns, generation_prompt=True) + (f" {prefill}" if prefill else "")


@mutant("wrap_attack", names="system prompt is left out")
def without_the_system_prompt(messages, frame, render_chat, prefill=""):
    refuse(messages)
    kept = [each for each in messages if each["role"] != "system"]
    return finish(kept, put(messages[-1]["content"], frame), render_chat, prefill)


@mutant("wrap_attack", names="earlier turns are left out")
def only_the_request(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages[-1:], put(messages[-1]["content"], frame), render_chat, prefill)


@mutant("wrap_attack", names="changes its input")
def in_place(messages, frame, render_chat, prefill=""):
    refuse(messages)
    messages[-1]["content"] = put(messages[-1]["content"], frame)
    return render_chat(messages, generation_prompt=True) + (f" {prefill}" if prefill else "")


@mutant("wrap_attack", names="changes its input")
def shallow_copy(messages, frame, render_chat, prefill=""):
    refuse(messages)
    turns = list(messages)
    turns[-1]["content"] = put(turns[-1]["content"], frame)
    return render_chat(turns, generation_prompt=True) + (f" {prefill}" if prefill else "")


@mutant("wrap_attack", names="changes its input")
def pops_the_request(messages, frame, render_chat, prefill=""):
    refuse(messages)
    request = messages.pop()["content"]
    text = render_chat([*messages, user(put(request, frame))], generation_prompt=True)
    return f"{text} {prefill}" if prefill else text


@mutant("wrap_attack", names="there is no generation prompt")
def without_a_generation_prompt(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = render_chat([*messages[:-1], user(put(messages[-1]["content"], frame))])
    return f"{text} {prefill}" if prefill else text


@mutant("wrap_attack", names="not rephrased")
def never_rephrased(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, frame.prompt.replace("{request}", messages[-1]["content"]), render_chat, prefill)


@mutant("wrap_attack", names="before it is wrapped")
def rephrased_after_wrapping(messages, frame, render_chat, prefill=""):
    refuse(messages)
    wrapped = frame.prompt.replace("{request}", messages[-1]["content"])
    return finish(messages, rephrase(wrapped, frame), render_chat, prefill)


@mutant("wrap_attack", names="in the middle too")
def rephrased_anywhere(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = messages[-1]["content"]
    for plain, changed in frame.rephrase:
        text = text.replace(plain, changed)
    return finish(messages, frame.prompt.replace("{request}", text), render_chat, prefill)


@mutant("wrap_attack", names="in the middle too")
def every_place_once_it_begins_so(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = messages[-1]["content"]
    for plain, changed in frame.rephrase:
        if text.startswith(plain):
            text = text.replace(plain, changed)
    return finish(messages, frame.prompt.replace("{request}", text), render_chat, prefill)


@mutant("wrap_attack", names="only the first pair")
def first_pair_only(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = messages[-1]["content"]
    if frame.rephrase and text.startswith(frame.rephrase[0][0]):
        text = frame.rephrase[0][1] + text.removeprefix(frame.rephrase[0][0])
    return finish(messages, frame.prompt.replace("{request}", text), render_chat, prefill)


@mutant("wrap_attack", names="opening is written into the request")
def opening_in_the_request(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, f"{put(messages[-1]['content'], frame)} {frame.opening}", render_chat, prefill)


@mutant("wrap_attack", names="as if the model had said it")
def opening_as_prefill(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, put(messages[-1]["content"], frame), render_chat, prefill or frame.opening)


@mutant("wrap_attack", names="no space before the prefill")
def prefill_without_a_space(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, put(messages[-1]["content"], frame), render_chat) + prefill


@mutant("wrap_attack", names="although there is no prefill")
def space_without_a_prefill(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, put(messages[-1]["content"], frame), render_chat) + " " + prefill


@mutant("wrap_attack", names="in the user's turn")
def prefill_in_the_request(messages, frame, render_chat, prefill=""):
    refuse(messages)
    wrapped = put(messages[-1]["content"], frame)
    return finish(messages, f"{wrapped} {prefill}" if prefill else wrapped, render_chat)


@mutant("wrap_attack", names="whole turn of the assistant")
def prefill_as_a_turn(messages, frame, render_chat, prefill=""):
    refuse(messages)
    turns = [*messages[:-1], user(put(messages[-1]["content"], frame))]
    if not prefill:
        return render_chat(turns, generation_prompt=True)
    return render_chat([*turns, {"role": "assistant", "content": prefill}])


@mutant("wrap_attack", names="another answer is asked for")
def prefill_as_a_turn_and_a_prompt(messages, frame, render_chat, prefill=""):
    refuse(messages)
    turns = [*messages[:-1], user(put(messages[-1]["content"], frame))]
    answer = [{"role": "assistant", "content": prefill}] if prefill else []
    return render_chat(turns + answer, generation_prompt=True)


@mutant("wrap_attack", names="prefill is left out")
def without_the_prefill(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, put(messages[-1]["content"], frame), render_chat)


@mutant("wrap_attack", names="str.format stumbles")
def with_format(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return finish(messages, frame.prompt.format(request=rephrase(messages[-1]["content"], frame)), render_chat, prefill)


@mutant("wrap_attack", names="filled once more")
def filled_twice(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = rephrase(messages[-1]["content"], frame)
    wrapped = frame.prompt.replace("{request}", text).replace("{request}", text)
    return finish(messages, wrapped, render_chat, prefill)


@mutant("wrap_attack", names="expected")
def filled_in_the_whole_text(messages, frame, render_chat, prefill=""):
    refuse(messages)
    text = finish(messages, frame.prompt, render_chat, prefill)
    return text.replace("{request}", rephrase(messages[-1]["content"], frame))


@mutant("wrap_attack", names="the render_chat that you were given")
def form_by_hand(messages, frame, render_chat, prefill=""):
    refuse(messages)
    turns = [*messages[:-1], user(put(messages[-1]["content"], frame))]
    names = {"system": "<system>", "user": "<user>", "assistant": "<bot>"}
    text = "".join(f"{names[each['role']]} {each['content']}" for each in turns) + "<bot>"
    return f"{text} {prefill}" if prefill else text


@mutant("wrap_attack", names="should raise a valueerror")
def last_user_turn_wherever(messages, frame, render_chat, prefill=""):
    place = max(i for i, each in enumerate(messages) if each["role"] == "user")
    turns = [*messages[:place], user(put(messages[place]["content"], frame)), *messages[place + 1 :]]
    text = render_chat(turns, generation_prompt=True)
    return f"{text} {prefill}" if prefill else text


@mutant("wrap_attack", names="should raise a valueerror")
def takes_any_last_turn(messages, frame, render_chat, prefill=""):
    return finish(messages, put(messages[-1]["content"], frame), render_chat, prefill)


@mutant("wrap_attack", names="should be one string")
def returns_the_conversation(messages, frame, render_chat, prefill=""):
    refuse(messages)
    return [*messages[:-1], user(put(messages[-1]["content"], frame))]
