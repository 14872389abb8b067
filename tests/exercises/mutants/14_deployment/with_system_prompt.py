"""Wrong solutions of with_system_prompt."""

import re

from minillm.course.testing import mutant

SPECIALS = ("<pad>", "<doc>", "<system>", "<user>", "<bot>", "<end>")


def clean(text, specials=SPECIALS):
    while any(special in text for special in specials):
        for special in specials:
            text = text.replace(special, "")
    return " ".join(text.split())


def first(system):
    return [{"role": "system", "content": system}] if system else []


def rest(messages, specials=SPECIALS, way=clean):
    """All turns but the system turns, user turns cleaned."""
    turns = [dict(m) for m in messages if m["role"] != "system"]
    return [{**m, "content": way(m["content"], specials)} if m["role"] == "user" else m for m in turns]


@mutant("with_system_prompt", names="put last")
def appended(messages, system, specials=SPECIALS):
    return rest(messages, specials) + first(system)


@mutant("with_system_prompt", names="see trap 4")
def keeps_the_old_one(messages, system, specials=SPECIALS):
    turns = [{**m, "content": clean(m["content"], specials)} if m["role"] == "user" else dict(m) for m in messages]
    return first(system) + turns


@mutant("with_system_prompt", names="only where it comes first")
def drops_only_a_leading_one(messages, system, specials=SPECIALS):
    turns = [{**m, "content": clean(m["content"], specials)} if m["role"] == "user" else dict(m) for m in messages]
    if turns and turns[0]["role"] == "system":
        turns = turns[1:]
    return first(system) + turns


@mutant("with_system_prompt", names="beside yours")
def keeps_it_without_a_system_prompt(messages, system, specials=SPECIALS):
    if not system:
        return [{**m, "content": clean(m["content"], specials)} if m["role"] == "user" else dict(m) for m in messages]
    return first(system) + rest(messages, specials)


@mutant("with_system_prompt", names="system turn is missing")
def only_replaces(messages, system, specials=SPECIALS):
    """The system prompt is set only where there was one."""
    turns = []
    for m in messages:
        if m["role"] == "system":
            turns.append({"role": "system", "content": system})
        else:
            turns.append({**m, "content": clean(m["content"], specials)} if m["role"] == "user" else dict(m))
    return turns


@mutant("with_system_prompt", names="added to yours")
def joins_both(messages, system, specials=SPECIALS):
    old = [m["content"] for m in messages if m["role"] == "system"]
    parts = [system, *old] if system else old
    return first(" ".join(parts)) + rest(messages, specials)


@mutant("with_system_prompt", names="changes its input")
def inserts_in_place(messages, system, specials=SPECIALS):
    messages[:] = rest(messages, specials)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return messages


@mutant("with_system_prompt", names="changes its input")
def cleans_in_place(messages, system, specials=SPECIALS):
    turns = [m for m in messages if m["role"] != "system"]
    for m in turns:
        if m["role"] == "user":
            m["content"] = clean(m["content"], specials)
    return first(system) + turns


@mutant("with_system_prompt", names="not cleaned")
def trusts_the_user(messages, system, specials=SPECIALS):
    return first(system) + [dict(m) for m in messages if m["role"] != "system"]


@mutant("with_system_prompt", names="special tokens of user turns stay")
def spaces_only(messages, system, specials=SPECIALS):
    return first(system) + rest(messages, specials, lambda text, _: " ".join(text.split()))


@mutant("with_system_prompt", names="once only")
def one_pass(messages, system, specials=SPECIALS):
    def way(text, specials):
        for special in specials:
            text = text.replace(special, "")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="once only, all at a time")
def one_substitution(messages, system, specials=SPECIALS):
    def way(text, specials):
        return " ".join(re.sub("|".join(map(re.escape, specials)), "", text).split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="twice only")
def two_passes(messages, system, specials=SPECIALS):
    def way(text, specials):
        for special in [*specials, *specials]:
            text = text.replace(special, "")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="ten times")
def ten_passes(messages, system, specials=SPECIALS):
    def way(text, specials):
        for _ in range(10):
            for special in specials:
                text = text.replace(special, "")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="one kind can set another free")
def kind_by_kind(messages, system, specials=SPECIALS):
    def way(text, specials):
        for special in specials:
            while special in text:
                text = text.replace(special, "")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="replaced by a space")
def a_space_instead(messages, system, specials=SPECIALS):
    def way(text, specials):
        for special in specials:
            text = text.replace(special, " ")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names=None)
def a_placeholder_instead(messages, system, specials=SPECIALS):
    def way(text, specials):
        for special in specials:
            text = text.replace(special, "[removed]")
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="two spaces are left inside")
def double_spaces(messages, system, specials=SPECIALS):
    def way(text, specials):
        while any(special in text for special in specials):
            for special in specials:
                text = text.replace(special, "")
        return text.strip()

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="spaces are left at the ends")
def ends_not_stripped(messages, system, specials=SPECIALS):
    def way(text, specials):
        while any(special in text for special in specials):
            for special in specials:
                text = text.replace(special, "")
        return re.sub(r"\s+", " ", text)

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="lines and tabs")
def blanks_only(messages, system, specials=SPECIALS):
    def way(text, specials):
        while any(special in text for special in specials):
            for special in specials:
                text = text.replace(special, "")
        return re.sub(" +", " ", text).strip()

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="everything between < and >")
def anything_in_brackets(messages, system, specials=SPECIALS):
    def way(text, specials):
        while re.search("<[^<>]*>", text):
            text = re.sub("<[^<>]*>", "", text)
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="their names stay")
def brackets_off(messages, system, specials=SPECIALS):
    return first(system) + rest(
        messages, specials, lambda text, _: " ".join(text.replace("<", "").replace(">", "").split())
    )


@mutant("with_system_prompt", names="words of their own")
def whole_words(messages, system, specials=SPECIALS):
    return first(system) + rest(
        messages, specials, lambda text, specials: " ".join(word for word in text.split() if word not in specials)
    )


@mutant("with_system_prompt", names="every special token has to go")
def system_token_only(messages, system, specials=SPECIALS):
    return first(system) + rest(messages, ["<system>"])


@mutant("with_system_prompt", names="in capitals")
def ignores_case(messages, system, specials=SPECIALS):
    def way(text, specials):
        pattern = re.compile("|".join(map(re.escape, specials)), re.IGNORECASE)
        while pattern.search(text):
            text = pattern.sub("", text)
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="regular expression")
def not_escaped(messages, system, specials=SPECIALS):
    def way(text, specials):
        pattern = re.compile("|".join(specials))
        before = None
        while before != text:
            before, text = text, pattern.sub("", text)
        return " ".join(text.split())

    return first(system) + rest(messages, specials, way)


@mutant("with_system_prompt", names="whatever `specials` is")
def built_in_specials(messages, system, specials=SPECIALS):
    return first(system) + rest(messages)


@mutant("with_system_prompt", names="system prompt is cleaned, too")
def cleans_the_system_prompt(messages, system, specials=SPECIALS):
    return first(clean(system or "", specials)) + rest(messages, specials)


@mutant("with_system_prompt", names="spaces of the system prompt")
def strips_the_system_prompt(messages, system, specials=SPECIALS):
    return first(" ".join((system or "").split())) + rest(messages, specials)


@mutant("with_system_prompt", names="assistant turns are cleaned, too")
def cleans_every_turn(messages, system, specials=SPECIALS):
    return first(system) + [{**m, "content": clean(m["content"], specials)} for m in messages if m["role"] != "system"]


@mutant("with_system_prompt", names="only the last user turn")
def cleans_the_last(messages, system, specials=SPECIALS):
    turns = [dict(m) for m in messages if m["role"] != "system"]
    for m in reversed(turns):
        if m["role"] == "user":
            m["content"] = clean(m["content"], specials)
            break
    return first(system) + turns


@mutant("with_system_prompt", names="only the first user turn")
def cleans_the_first(messages, system, specials=SPECIALS):
    turns = [dict(m) for m in messages if m["role"] != "system"]
    for m in turns:
        if m["role"] == "user":
            m["content"] = clean(m["content"], specials)
            break
    return first(system) + turns


@mutant("with_system_prompt", names="turns that hold a special token are dropped")
def drops_the_turn(messages, system, specials=SPECIALS):
    turns = [m for m in messages if m["role"] != "user" or not any(s in m["content"] for s in specials)]
    return first(system) + rest(turns, specials)


@mutant("with_system_prompt", names="empty afterwards are dropped")
def drops_empty_turns(messages, system, specials=SPECIALS):
    return first(system) + [m for m in rest(messages, specials) if m["content"]]


@mutant("with_system_prompt", names='the text "none"')
def none_as_text(messages, system, specials=SPECIALS):
    return [{"role": "system", "content": f"{system}"}, *rest(messages, specials)]


@mutant("with_system_prompt", names="holds none")
def none_as_it_is(messages, system, specials=SPECIALS):
    return [{"role": "system", "content": system}, *rest(messages, specials)]


@mutant("with_system_prompt", names="empty system turn")
def empty_turn(messages, system, specials=SPECIALS):
    return [{"role": "system", "content": system or ""}, *rest(messages, specials)]


@mutant("with_system_prompt", names="empty system turn")
def empty_text_is_a_turn(messages, system, specials=SPECIALS):
    own = [] if system is None else [{"role": "system", "content": system}]
    return own + rest(messages, specials)


@mutant("with_system_prompt", names="assistant turns are dropped")
def only_the_user(messages, system, specials=SPECIALS):
    return first(system) + [m for m in rest(messages, specials) if m["role"] == "user"]
