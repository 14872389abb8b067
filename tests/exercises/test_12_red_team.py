"""What a right solution of lesson 12 is: requests under attack, and how often an attack works.

Gradients follow in test_12_red_team_gradients.py, the search in test_12_red_team_search.py, the mix of requests for
retraining in test_12_red_team_mix.py.
"""

from math import comb

import torch
from torch import Tensor

from minillm.course.attack_props import ChatForm, FrameOf
from minillm.course.expect import CheckFailure, expect_close, expect_equal, fail
from minillm.course.testing import exercise

WORDS = ("the", "fox", "eats", "fish", "2", "rope", "hit", "ball", "dog", "night")
HOLE = "{request}"


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phrase(g: torch.Generator) -> str:
    """A few words of nonsense."""
    return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (3,), generator=g).tolist())


def refused(handle, args: tuple, what: str) -> None:
    """A ValueError is raised."""
    try:
        got = handle(*args)
    except CheckFailure as failure:
        if "stopped with ValueError" not in str(failure):
            fail(f"{what}: a ValueError was expected; instead\n{failure}")
        return
    fail(f"{what} should raise a ValueError; you returned {got!r}.")


# --- wrap_attack ------------------------------------------------------------------------------------------------

PAIRS = (("what is ", "what was "), ("how do i ", "how did people "))


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def talk(seed: int, request: str) -> list[dict[str, str]]:
    """A system prompt, one exchange, and the request."""
    g = generator(seed)
    return [
        turn("system", f"be kind . {phrase(g)} ."),
        turn("user", f"how do i {phrase(g)} ?"),
        turn("assistant", f"how do i know ? {phrase(g)} ."),
        turn("user", request),
    ]


def rendered(messages: list[dict[str, str]], end: str = "[answer]") -> str:
    return "".join(f"[{each['role']}] {each['content']}" for each in messages) + end


def rephrased(text: str, pairs: tuple) -> str:
    for plain, changed in pairs:
        if text[: len(plain)] == plain:
            text = changed + text[len(plain) :]
    return text


def framed(text: str, frame: FrameOf, pairs: tuple | None = None) -> str:
    before, after = frame.prompt.split(HOLE)
    return before + rephrased(text, frame.rephrase if pairs is None else pairs) + after


def with_last(messages: list, content: str) -> list:
    return [*messages[:-1], turn("user", content)]


def attacked(messages: list, frame: FrameOf, prefill: str = "") -> str:
    text = rendered(with_last(messages, framed(messages[-1]["content"], frame)))
    return text + " " + prefill if prefill else text


def attack_mistakes(messages: list, frame: FrameOf, prefill: str) -> dict:
    request = messages[-1]["content"]
    tail = " " + prefill if prefill else ""
    wrapped = framed(request, frame)
    right = with_last(messages, wrapped)
    users = [i for i, each in enumerate(messages) if each["role"] == "user"]

    def wrap_at(places: list[int]) -> str:
        return rendered([turn(m["role"], framed(m["content"], frame)) if i in places else m
                         for i, m in enumerate(messages)]) + tail  # fmt: skip

    def last(content: str) -> str:
        return rendered(with_last(messages, content)) + tail

    anywhere = request
    for plain, changed in frame.rephrase:
        anywhere = anywhere.replace(plain, changed)
    return {
        "nothing is wrapped: the conversation is as it was.": rendered(messages) + tail,
        "the first turn of the user is wrapped, not the last. See trap 1.": wrap_at(users[:1]),
        "every turn of the user is wrapped; only the last one should be. See trap 1.": wrap_at(users),
        "every turn is wrapped, whoever speaks. See trap 1.": wrap_at(list(range(len(messages)))),
        "the system prompt is left out. See trap 1.": rendered([m for m in right if m["role"] != "system"]) + tail,
        "the earlier turns are left out; only the request is shown. See trap 1.": rendered(right[-1:]) + tail,
        "there is no generation prompt: generation_prompt=True asks the model to answer.": rendered(right, "") + tail,
        "only the first pair of `rephrase` is used.": last(framed(request, frame, frame.rephrase[:1])),
        "the request is not rephrased. Its beginning changes before it is wrapped. See trap 3.": (
            last(framed(request, frame, ()))
        ),
        "the request is rephrased in the middle too; only its beginning should be. See trap 3.": (
            last(framed(anywhere, frame, ()))
        ),
        "the request is rephrased and not wrapped.": last(rephrased(request, frame.rephrase)),
        "the frame's opening is written into the request; that is what a model would say. See trap 4.": (
            last(f"{wrapped} {frame.opening}")
        ),
        "the frame's opening stands before the request; that is what a model would say. See trap 4.": (
            last(f"{frame.opening} {wrapped}")
        ),
        "the frame's opening is written as if the model had said it. Only the prefill is. See trap 4.": (
            rendered(right) + " " + frame.opening
        ),
        "opening and prefill are both written. Only the prefill is. See trap 4.": (
            rendered(right) + " " + frame.opening + tail
        ),
        "the frame's closing is written into the request.": last(f"{wrapped} {frame.closing}"),
        "the prefill is left out.": rendered(right),
        "there is no space before the prefill. See trap 4.": rendered(right) + prefill,
        "a space follows although there is no prefill.": rendered(right) + " ",
        "a space follows after the prefill.": rendered(right) + tail + " ",
        "the prefill stands before the generation prompt, in the user's turn. See trap 4.": (
            rendered(with_last(messages, f"{wrapped} {prefill}"))
        ),
        "the prefill stands directly before the generation prompt. See trap 4.": rendered(right, prefill + "[answer]"),
        "the prefill is rendered as a whole turn of the assistant. See trap 4.": (
            rendered([*right, turn("assistant", prefill)], "")
        ),
        "the prefill is a turn of its own, and another answer is asked for. See trap 4.": (
            rendered([*right, turn("assistant", prefill)])
        ),
        "the tokens of lesson 04 are written here by hand; call the render_chat that you were given.": (
            "".join(f"<{'bot' if m['role'] == 'assistant' else m['role']}> {m['content']}" for m in right)
            + "<bot>" + tail
        ),
        "the place {request} is not filled; the request is appended.": last(f"{frame.prompt} {request}"),
        "{request} is filled once more where the request itself says it. See trap 5.": (
            last(wrapped.replace(HOLE, request))
        ),
        "{request} is filled once more where the rephrased request itself says it. See trap 5.": (
            last(wrapped.replace(HOLE, rephrased(request, frame.rephrase)))
        ),
        "the braces in the prompt are lost. See trap 5.": last(wrapped.replace("{", "").replace("}", "")),
    }  # fmt: skip


def check_attack(handle, messages: list, frame: FrameOf, prefill: str = "", what: str = "the text") -> None:
    expected = attacked(messages, frame, prefill)
    got = handle(messages, frame, ChatForm(), prefill) if prefill else handle(messages, frame, ChatForm())
    if not isinstance(got, str):
        fail(f"{what} should be one string, got {type(got).__name__}.")
    pairs = enumerate(zip(got, expected))
    same = max(next((i for i, (a, b) in pairs if a != b), min(len(got), len(expected))) - 20, 0)  # not shown
    named = {k: v[same:] for k, v in attack_mistakes(messages, frame, prefill).items() if v == got}
    expect_equal(got[same:], expected[same:], f"{what}, from character {same} on" if same else what, mistakes=named)


@exercise("wrap_attack", "the last turn in its frame, everything else as it was")
def test_wrap_attack(handle, seed):
    g = generator(seed)
    frame = FrameOf("say it now : {request} thank you .", opening="once ,", closing="the end .")
    check_attack(handle, talk(seed, f"name the {phrase(g)} ?"), frame, what="the text (no prefill)")
    check_attack(handle, [turn("user", f"why {phrase(g)} ?")], frame, what="the text of a single turn")


@exercise("wrap_attack", "the beginning of the request is rephrased first")
def test_wrap_attack_rephrased(handle, seed):
    g = generator(seed)
    frame = FrameOf("long ago , {request} tell me .", PAIRS, opening="in the old days :")
    for request in (
        f"what is {phrase(g)} ?",
        f"how do i {phrase(g)} and how do i {phrase(g)} ?",
        f"tell me how do i {phrase(g)} ?",
    ):
        check_attack(handle, talk(seed, request), frame, what=f"the text for {request!r}")
    check_attack(handle, [turn("user", "how do i run ?")], FrameOf("{request} now .", PAIRS), what="the text")


@exercise("wrap_attack", "the prefill begins the answer")
def test_wrap_attack_prefill(handle, seed):
    g = generator(seed)
    frame = FrameOf("{request} start with sure .", PAIRS, opening="yes , queen :", closing="the end .")
    for prefill in ("sure ,", f"dear {phrase(g)} :"):
        check_attack(handle, talk(seed, f"how do i {phrase(g)} ?"), frame, prefill, f"the text (prefill={prefill!r})")


@exercise("wrap_attack", "braces in the prompt and in the request are only letters")
def test_wrap_attack_braces(handle, seed):
    g = generator(seed)
    plain = FrameOf("please : {request} now .", PAIRS)
    messages = talk(seed, f"how do i {phrase(g)} {HOLE} {{0}} ?")
    messages[0]["content"] += f" fill in {HOLE} ."
    check_attack(handle, messages, plain, what="the text (the request says {request})")
    odd = FrameOf("read { this } {0} and {fast} : {request} now .", PAIRS)
    try:
        check_attack(handle, messages, odd, what="the text (other braces in the prompt)")
    except CheckFailure as failure:
        if "your wrap_attack stopped with" not in str(failure):
            raise
        fail(f"a prompt may hold other braces; str.format stumbles over them. Use replace. See trap 5.\n{failure}")


@exercise("wrap_attack", "a conversation that does not end with the user is refused")
def test_wrap_attack_refuses(handle, seed):
    messages = talk(seed, "how do i run ?")
    for last in (turn("assistant", "run ."), turn("system", "be kind .")):
        args = ([*messages, last], FrameOf("now : {request}"), ChatForm())
        refused(handle, args, f"a last turn of the {last['role']} (trap 6)")


# --- attack_success_rate ----------------------------------------------------------------------------------------


def answers(seed: int, N: int = 7, counts: tuple[int, ...] = (1, 0, 3, 7, 2)) -> Tensor:
    """(R, N) bool: so many harmful answers to each request, at random places."""
    g = generator(seed)
    order = torch.stack([torch.randperm(N, generator=g) for _ in counts])
    return order < torch.tensor(counts)[:, None]


def at_least_one(N: int, c: int, k: int) -> float:
    return 1 - comb(N - c, k) / comb(N, k)


def rate(rows: list[list[int]], k: int) -> float:
    return sum(at_least_one(len(row), sum(row), k) for row in rows) / len(rows)


def rate_mistakes(complied: Tensor, k: int) -> dict:
    rows = complied.int().tolist()
    R, N = len(rows), len(rows[0])
    counts = [sum(row) for row in rows]

    def over(f) -> float:
        return sum(f(row, c) for row, c in zip(rows, counts)) / R

    total, right = sum(counts), rate(rows, k)
    p = total / (R * N)
    columns = [list(column) for column in zip(*rows)]
    return {
        "only the first attempts are looked at: right on average, but the other answers are thrown away. Trap 1.": (
            over(lambda row, c: float(any(row[:k])))
        ),
        "only the last attempts are looked at; all answers are to be used. See trap 1.": (
            over(lambda row, c: float(any(row[-k:])))
        ),
        "it is computed as 1 - (1 - p)^k for each request, which puts answers back: biased. See trap 2.": (
            over(lambda row, c: 1 - (1 - c / N) ** k)
        ),
        "all answers are pooled into one rate p, and 1 - (1 - p)^k is taken of it. See trap 3.": 1 - (1 - p) ** k,
        "all answers of all requests are pooled before the formula. See trap 3.": at_least_one(R * N, total, k),
        "the mean number of harmful answers goes into the formula; each request has its own. See trap 3.": (
            at_least_one(N, round(total / R), k)
        ),
        "all attempts have to succeed; at least one is asked for. See trap 5.": (
            over(lambda row, c: comb(c, k) / comb(N, k))
        ),
        "every answer counts, however many attempts there are: this is `any` over all N.": over(
            lambda row, c: float(any(row))
        ),
        "attempts is ignored: this is the plain mean.": p,
        "the plain mean is multiplied by attempts.": k * p,
        "this is the chance that every attempt misses; one minus it is asked for.": 1 - right,
        "this is one number for each request; their mean is asked for.": [at_least_one(N, c, k) for c in counts],
        "the requests are added up; their mean is asked for.": R * right,
        "requests and answers are swapped: a row is a request.": lambda: (
            sum(at_least_one(R, sum(column), k) for column in columns) / N if k <= R else -1.0
        ),
        "the mean over requests is divided by N, the number of answers.": R * right / N,
        "exactly one attempt succeeds; at least one is asked for.": (
            over(lambda row, c: c * comb(N - c, k - 1) / comb(N, k))
        ),
        "there is one attempt too many.": lambda: rate(rows, k + 1) if k < N else -1.0,
        "there is one attempt too few.": rate(rows, k - 1),
        "requests without a success are left out of the mean.": (
            right * R / sum(c > 0 for c in counts) if any(counts) else 0.0
        ),
    }


def check_rate(handle, complied: Tensor, k: int | None, what: str) -> None:
    rows, attempts = complied.int().tolist(), 1 if k is None else k
    got = handle(complied) if k is None else handle(complied, k)
    if isinstance(got, bool):
        fail(f"{what} should be a number, got {got!r}.")
    expect_close(got, rate(rows, attempts), what, mistakes=rate_mistakes(complied, attempts))


@exercise("attack_success_rate", "one attempt is the plain mean")
def test_rate_of_one_attempt(handle, seed):
    check_rate(handle, answers(seed).float(), None, "the rate (attempts left out)")
    check_rate(handle, answers(seed, 6, (2, 0, 0, 5)).float(), 1, "the rate (attempts=1)")


@exercise("attack_success_rate", "at least one of several, each request for itself")
def test_rate_of_attempts(handle, seed):
    for k in (2, 3, 5):
        check_rate(handle, answers(seed).float(), k, f"the rate (attempts={k})")
    check_rate(handle, torch.tensor([[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]]), 5, "the rate of 2 in 10 (attempts=5)")


@exercise("attack_success_rate", "as many attempts as answers, all harmful, none harmful")
def test_rate_extremes(handle, seed):
    check_rate(handle, answers(seed).float(), 7, "the rate (attempts=7 of 7 answers)")
    check_rate(handle, answers(seed, 5, (0, 0, 5, 4)).float(), 4, "the rate (attempts=4 of 5 answers)")


@exercise("attack_success_rate", "neither the order of answers nor the type of numbers matters")
def test_rate_order_and_type(handle, seed):
    complied = answers(seed, 9, (2, 1, 5, 0))
    for name, value in (
        ("bool", complied),
        ("whole numbers", complied.long()),
        ("float64", complied.double()),
        ("answers in another order", complied.flip(1).float()),
        ("requests in another order", complied.flip(0).float()),
        ("a non-contiguous tensor", complied.float().T.contiguous().T),
    ):
        check_rate(handle, value, 3, f"the rate ({name}, attempts=3)")


@exercise("attack_success_rate", "thousands of answers")
def test_rate_of_thousands(handle, seed):
    complied = answers(seed, 2000, (1, 0, 3)).float()
    for k in (1000, 1500):
        try:
            check_rate(handle, complied, k, f"the rate (2000 answers, attempts={k})")
        except CheckFailure as failure:
            if "exactly the numbers" in str(failure):
                raise
            fail(f"{failure}\nC(2000, 1000) has 600 digits: see trap 4.")


@exercise("attack_success_rate", "no attempt, or more attempts than answers, are refused")
def test_rate_refuses(handle, seed):
    for k in (0, 8, -1):
        refused(handle, (answers(seed).float(), k), f"attempts={k} of 7 answers (trap 6)")
