"""Right solutions of with_system_prompt that look different."""

import re

from minillm.course.testing import variant

SPECIALS = ("<pad>", "<doc>", "<system>", "<user>", "<bot>", "<end>")


@variant("with_system_prompt")
def until_nothing_changes(messages, system, specials=SPECIALS):
    pattern = re.compile("|".join(map(re.escape, specials)))
    turns = [{"role": "system", "content": system}] * bool(system)
    for message in messages:
        if message["role"] == "user":
            text, before = message["content"], None
            while text != before:
                before, text = text, pattern.sub("", text)
            turns.append({"role": "user", "content": re.sub(r"\s+", " ", text).strip()})
        elif message["role"] == "assistant":
            turns.append(dict(message))
    return turns


@variant("with_system_prompt")
def on_a_pile(messages, system, specials=SPECIALS):
    def clean(text):
        pile = ""
        for character in text:
            pile += character
            pile = next((pile.removesuffix(special) for special in specials if pile.endswith(special)), pile)
        return " ".join(pile.split())

    conversation = list(messages)
    conversation = [m for m in conversation if m["role"] != "system"]
    conversation = [{**m, "content": clean(m["content"])} if m["role"] == "user" else m for m in conversation]
    if system is not None and system != "":
        conversation.insert(0, {"role": "system", "content": system})
    return conversation


@variant("with_system_prompt")
def calls_itself(messages, system, specials=SPECIALS):
    def clean(text):
        for special in specials:
            if special in text:
                return clean("".join(text.split(special)))
        return " ".join(text.split())

    if messages and messages[-1]["role"] == "system":
        return calls_itself(messages[:-1], system, specials)
    if not messages:
        return [dict(role="system", content=system)] if system else []
    *before, last = messages
    content = clean(last["content"]) if last["role"] == "user" else last["content"]
    return [*calls_itself(before, system, specials), {"role": last["role"], "content": content}]


@variant("with_system_prompt")
def one_token_at_a_time(messages, system, specials=SPECIALS):
    turns = []
    for message in messages:
        new = message.copy()
        if new["role"] == "system":
            continue
        if new["role"] == "user":
            while True:
                places = [(new["content"].find(special), special) for special in specials]
                places = [(place, special) for place, special in places if place >= 0]
                if not places:
                    break
                place, special = min(places)
                new["content"] = new["content"][:place] + new["content"][place + len(special) :]
            new["content"] = " ".join(word for word in new["content"].split())
        turns.append(new)
    return ([dict(role="system", content=system)] if system else []) + turns
