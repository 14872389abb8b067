# %% [markdown]
# # 10 · Constitution
#
# In lesson 04 people showed the model how to refuse. In lesson 05 they compared its answers, the harmful ones too: for
# every harmful answer that a model is to unlearn, somebody has to read one. In this lesson nobody does. People write
# down a few principles, once. Then the model reads its own drafts, says where they break a principle, and writes better
# ones, on which it is trained; and it compares its own answers and learns from its own labels (Bai et al. 2022).
#
# Where does its knowledge of right and wrong come from, if not from labels? From the text that it was trained on. The
# corpus states, in a few documents in a hundred, what is wrong with which answer, and the base model learned those
# words with all the others. It is recall, not insight, and you will measure where it ends.

# %% tags=["setup"]
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table
from minillm.tinyland.constitution import Principle

# %%
import inspect
import json
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
from IPython.display import HTML, Code, display

from minillm import chat, constitutional, dpo, evaluation, plots, preferences, stages
from minillm.course import frontier
from minillm.divergence import answer_kl
from minillm.ladder import standing
from minillm.paths import smoke
from minillm.sft import Functions, fine_tune
from minillm.tinyland import howto
from minillm.tinyland.annotators import UNBIASED
from minillm.tinyland.constitution import HARMLESSNESS, PRINCIPLES, breaks, comparisons, ideal_critique, readings
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import COMPARING, DPO, READING, REVISIONS

# %%
plots.use_style()
SFT_COLOUR, CAI_COLOUR = plots.STAGE_COLOURS["sft"], plots.STAGE_COLOURS["cai"]
render_chat, response_mask, collate, sft_loss = carry("render_chat", "response_mask", "collate", "sft_loss")
training_step, learning_rate_at, annotate = carry("training_step", "learning_rate_at", "annotate")
sequence_logprobs, dpo_loss = carry("sequence_logprobs", "dpo_loss")
tuning = Functions(collate, sft_loss, training_step, learning_rate_at)
start = stages.load_stage("sft")
tokenizer, form = start.tokenizer, partial(chat.chat_prompt, render_chat)


def sized(recipe, **settings):
    """The recipe, or, in a smoke run, a few steps of it."""
    return replace(recipe, steps=4, demonstrations=60) if smoke() else replace(recipe, **settings)


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


# %% [markdown]
# ## One number by hand
#
# A judge is shown two answers to one question and asked which is better, a or b. It says a with probability 0.9. Then
# you exchange the answers and ask again. Now it says b with probability 0.3. How sure is it that the first answer is
# better?
#
# In the first order the first answer was a: 0.9. In the second order it was b: 0.3. The mean is 0.6. This judge likes
# the letter a whatever stands there (0.9, and then 0.7), and hardly prefers either answer. Had you asked once only,
# you would have learned 0.9. What do you learn from 0.9 for a, and then 0.9 for b? (0.9: no bias left.)

# %% [markdown]
# ## Principles, critiques, revisions
#
# These are all the principles there are. Each can be asked of a draft, and says what a better draft is to be called.

# %%
for each in PRINCIPLES:
    print(f"{each.name:8s} {each.text:30s} {each.critique_request:18s} {each.broken:26s} {each.revision_request}")

# %% [markdown]
# {exercise sample_principle}
#
# **Why.** One principle at a time, drawn anew for every draft and every round: so each draft is soon seen from all
# sides, and none is ever read twice in quite the same way.
#
# **What.** Of $n$ principles with weights $w_i \ge 0$, principle $i$ is drawn with probability $w_i / \sum_j w_j$;
# without weights, each with $1/n$.
#
# **By hand.** Weights 3, 1, 0: probabilities 0.75, 0.25, 0. What are they for weights 2, 2, 4? (0.25, 0.25, 0.5.)
#
# **Traps.** (1) Every call draws: no principle is "the first". (2) All randomness comes from the generator that you
# are given, or the run cannot be repeated. Do not seed it, and make no new one. (3) A principle of weight 0 is never
# drawn. (4) Return the principle, not its number.


# %% tags=["exercise"] exercise="sample_principle"
def sample_principle(
    principles: Sequence[Principle], generator: torch.Generator, weights: Sequence[float] | None = None
) -> Principle:
    """One of the principles, drawn at random.

    weights: one number of at least 0 for each principle, not all 0; they need not sum to 1. None: all alike.
    Every call draws anew, from ``generator`` alone; a generator in the same state gives the same principle.
    Raises ValueError for no principles, or weights of another number.
    """
    # BEGIN SOLUTION
    if not principles:
        raise ValueError("there are no principles to draw from")
    if weights is not None and len(weights) != len(principles):
        raise ValueError(f"{len(weights)} weights do not fit {len(principles)} principles")
    shares = torch.ones(len(principles)) if weights is None else torch.tensor(weights, dtype=torch.float64)
    drawn = torch.multinomial(shares, num_samples=1, generator=generator)
    return principles[drawn.item()]
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="sample_principle"
# Where to start
# Two checks, then a draw of one whole number. Without weights, all weights are 1.
# ---
# The draw
# `torch.multinomial(weights, 1, generator=generator)` takes weights as they are and gives a tensor with one number.

# %% tags=["check"]
check("sample_principle")

# %% [markdown]
# {exercise critique_prompt}
#
# **Why.** A model criticises best in the words in which it has seen critiques. The corpus writes them as follows, so
# that is how we ask; whatever the model writes next is its critique.
#
# **What.** `read : question : QUESTION answer : DRAFT CRITIQUE_REQUEST`, with single spaces, and no space at the end.
#
# **By hand.** The question "how do i hit the dog ?", the draft "no .", the principle "safe": `read : question : how
# do i hit the dog ? answer : no . is it safe ?` And for the principle "kind"? (The same, and "is it kind ?" at the
# end.)
#
# **Traps.** (1) The principle's `critique_request` is what is asked, not its `text`, and neither of its two ready
# critiques: those would be the answer. (2) The question comes first, and is part of it: "swing a stick at it" is fine
# for a drum. (3) One space between the parts, whatever spaces the draft has at its ends; an empty draft leaves no
# gap.


# %% tags=["exercise"] exercise="critique_prompt"
def critique_prompt(question: str, draft: str, principle: Principle) -> str:
    """The text that asks whether a draft keeps a principle; what a model writes next is its critique.

    Returns "read : question : QUESTION answer : DRAFT CRITIQUE_REQUEST": single spaces between the parts, none at
    either end. Spaces at the ends of question and draft are dropped; an empty draft leaves no gap.
    Bai et al. 2022, sec. 3.1.
    """
    # BEGIN SOLUTION
    read = ["read : question :", question.strip()]
    written = ["answer :", draft.strip(), principle.critique_request]
    return " ".join(part for part in read + written if part)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="critique_prompt"
# Where to start
# An f-string with three holes, or a list of parts and `" ".join`.
# ---
# The gaps
# `.strip()` takes the spaces from the ends of a text. Leave empty parts out before you join.

# %% tags=["check"]
check("critique_prompt")

# %% [markdown]
# {exercise revision_prompt}
#
# **Why.** The revision follows from the critique: the model reads on where it has just criticised itself.
#
# **What.** The critique prompt, then the critique, then the principle's `revision_request`, which ends where the better
# answer begins.
#
# **By hand.** Go on from above with the critique "no , it is wrong .": `... is it safe ? no , it is wrong . write a
# safe answer :`. What does the model write next, if all goes well? (A refusal.)
#
# **Traps.** (1) The critique is the one that you are given, the model's own, right or wrong; not `principle.broken`.
# (2) Draft and question stay in front. (3) No answer is written here, and no space follows the colon.


# %% tags=["exercise"] exercise="revision_prompt"
def revision_prompt(question: str, draft: str, principle: Principle, critique: str) -> str:
    """The text that asks for a better draft; what a model writes next is its revision.

    Returns the critique prompt, the critique and the principle's revision request, with single spaces between them.
    Spaces at the ends of the critique are dropped. Bai et al. 2022, sec. 3.1.
    """
    # BEGIN SOLUTION
    asked = critique_prompt(question, draft, principle)
    parts = [asked, critique.strip(), principle.revision_request]
    return " ".join(parts)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="revision_prompt"
# Where to start
# You have written the first part already: call it.
# ---
# The rest
# Two more texts follow, with one space between them. The critique may have spaces at its ends: `.strip()`.

# %% tags=["check"]
check("revision_prompt")

# %% [markdown]
# {exercise critique_and_revise}
#
# **Why.** One round: all drafts are criticised, and those that were found wanting are revised. *Only* those. A model
# that is asked for a better answer writes another one, needed or not, and what was right before seldom survives it.
#
# **What.** Ask for all critiques at once. A critique that begins with the word "no" flags its draft. Ask for the
# revisions of the flagged drafts at once; all others stay as they are.
#
# **By hand.** Three drafts, critiques "yes , it is fine .", "no , it is wrong ." and "nobody knows .": one revision
# is asked for, the second. ("nobody" is not "no".) What if all three begin with "yes"? (No second call, and three
# drafts returned.)
#
# **Traps.** (1) Drafts that are not flagged are returned word for word. (2) The revisions come back fewer than the
# drafts: each to its own place. (3) Every draft has its own principle. (4) "no" as a word, at the beginning: not in
# "not" or "know", and not further on. (5) The model's own critique goes into the revision prompt. (6) One call for
# all critiques, one for all revisions: a call a draft takes many times as long. (7) An empty revision is none: the
# draft stays. (8) Make a new list; the drafts that you were given are needed again.


# %% tags=["exercise"] exercise="critique_and_revise"
def critique_and_revise(
    questions: list[str],
    drafts: list[str],
    principles: list[Principle],
    generate: Callable[[list[str]], list[str]],
) -> tuple[list[str], list[str]]:
    """One round of critique and revision: (critiques, revisions), each with one text for every draft, in order.

    principles: one for each draft. generate: takes a list of prompts, returns what the model writes next to each;
    called once for all critiques, and once for the revisions of the drafts whose critique begins with the word
    "no", if there are any. Every other draft, and one whose revision is empty, is returned as it is.
    Bai et al. 2022, sec. 3.1, but that only flagged drafts are revised.
    """
    # BEGIN SOLUTION
    asked = [critique_prompt(*each) for each in zip(questions, drafts, principles)]
    critiques = generate(asked)
    flagged = [i for i, critique in enumerate(critiques) if critique.split()[:1] == ["no"]]
    revisions = list(drafts)
    if flagged:
        wanted = [revision_prompt(questions[i], drafts[i], principles[i], critiques[i]) for i in flagged]
        for i, revision in zip(flagged, generate(wanted)):
            revisions[i] = revision.strip() or drafts[i]
    return critiques, revisions
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="critique_and_revise"
# Where to start
# A list of all critique prompts, one call of `generate`, and a list of the *numbers* of the flagged drafts.
# ---
# Flagged
# `critique.split()[:1] == ["no"]` is True where the first word is "no", and False, not an error, for an empty text.
# ---
# Back in their places
# Start from `revisions = list(drafts)`, and put each new text at the number that its prompt was made for:
# `for i, text in zip(flagged, generate(prompts))`.

# %% tags=["check"]
check("critique_and_revise")

# %% [markdown]
# {exercise revision_examples}
#
# **Why.** Critiques are a means. What the model is to learn is to give the last answer *at once*, to the bare
# question. So the training example holds neither the draft nor the critique: whoever trains on those teaches a model
# to answer badly first.
#
# **What.** From each record the conversation of its question and its *last* revision. Left out: records without a
# round, with an empty last revision, or whose last critique still begins with the word "no" though nothing was
# changed by it.
#
# **By hand.** A record with the draft "hit it .", critiques "no , ..." and "yes , ...", revisions "i can not help ."
# and "i can not help .": the answer is "i can not help ." One with the single critique "yes , ..." and the draft for
# a revision? (The draft is the answer: it was read, and found fine.)
#
# **Traps.** (1) Not the draft. (2) The last revision, not the first. (3) The user says the question, nothing else: no
# "read :", no principle. (4) Drafts that passed unchanged belong to it: they keep the model helpful. (5) Flagged and
# not mended means: the last critique begins with "no", and the last revision is the very text that it criticised,
# which is the revision before it, or the draft in the first round.


# %% tags=["exercise"] exercise="revision_examples"
def revision_examples(records: list[dict]) -> list[list[dict[str, str]]]:
    """Conversations to train on, from what became of drafts.

    A record: {"question": str, "draft": str, "critiques": [str, ...], "revisions": [str, ...]}, one critique and
    one revision a round; revisions[k] is the text after round k, changed or not.
    Returns, in order, [{"role": "user", "content": question}, {"role": "assistant", "content": last revision}]
    for each record but those without a round, with an empty last revision, or flagged ("no") in the last round
    and not changed by it. Bai et al. 2022, sec. 3.1: the critique is not in the target.
    """
    # BEGIN SOLUTION
    conversations = []
    for each in records:
        texts = [each["draft"], *each["revisions"]]
        if len(texts) == 1 or not texts[-1].strip():
            continue
        still_flagged = each["critiques"][-1].split()[:1] == ["no"]
        if still_flagged and texts[-1] == texts[-2]:
            continue
        turns = (("user", each["question"]), ("assistant", texts[-1]))
        conversations.append([{"role": role, "content": content} for role, content in turns])
    return conversations
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="revision_examples"
# Where to start
# A loop with three reasons to `continue`, and one line that appends.
# ---
# Flagged, not mended
# With `texts = [draft, *revisions]`, the last round read `texts[-2]` and left `texts[-1]`.

# %% tags=["check"]
check("revision_examples")

# %% [markdown]
# {exercise ai_preference}
#
# **Why.** For the second phase the model compares two answers and says a or b. What counts is not the letter it would
# say, but how likely it finds each: a soft label knows how sure it is. And a judge that prefers a letter, whatever
# stands there, is asked twice.
#
# **What.** With $\ell^{(1)}_a, \ell^{(1)}_b$ the log-probabilities of the letters when answer 1 stands as a, and
# $\ell^{(2)}$ when it stands as b,
#
# $$ p = \frac12 \left( \frac{e^{\ell^{(1)}_a}}{e^{\ell^{(1)}_a} + e^{\ell^{(1)}_b}}
# + \frac{e^{\ell^{(2)}_b}}{e^{\ell^{(2)}_a} + e^{\ell^{(2)}_b}} \right) $$
#
# **By hand.** First order: a 0.6, b 0.2, and 0.2 for all other words. Second order: a 0.3, b 0.1. So 0.6/0.8 = 0.75
# and 0.1/0.4 = 0.25: p = 0.5, a judge that likes a three times as well, and says nothing of the answers. And for 0.6,
# 0.2 and then 0.1, 0.3? (0.75.)
#
# **Traps.** (1) In the second order answer 1 is b: column 1. (2) The two letters do not have all the probability, so
# normalise. (3) The mean of two probabilities, not the softmax of mean log-probabilities. (4) `exp(-200)` is 0 in
# float32, and 0/0 is nan: take a softmax of the log-probabilities. (5) Soft: no rounding to 0 and 1. (6) A label is
# data, without a gradient.


# %% tags=["exercise"] exercise="ai_preference"
def ai_preference(logprobs: Tensor, swapped_logprobs: Tensor) -> Tensor:
    """How probable a judge finds it that answer 1 is the better one, (N,), from both orders.

    logprobs: (N, 2) nats of saying "a" and "b", where answer 1 stood as a and answer 2 as b.
    swapped_logprobs: (N, 2), the same with the answers exchanged: answer 1 stood as b.
    Returns the mean of the two normalised probabilities of the letter of answer 1. No gradient flows.
    Exchanging the answers gives 1 - p. Bai et al. 2022, sec. 4.1; both orders: Lee et al. 2023.
    """
    # BEGIN SOLUTION
    as_a = logprobs.detach().softmax(dim=-1)[:, 0]  # (N,)
    as_b = swapped_logprobs.detach().softmax(dim=-1)[:, 1]
    return (as_a + as_b) / 2
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ai_preference"
# Where to start
# Two softmaxes over the last dimension, one for each order, and from each the column in which answer 1 stood.
# ---
# No gradient
# `.detach()` the log-probabilities first, or work under `torch.no_grad()`.

# %% tags=["check"]
check("ai_preference")

# %% [markdown]
# ## A critic that has read
#
# The drafts are about how-to questions, harmful ones and look-alikes alike; nobody tells the model which is which. They
# come from your SFT model, and so does the critic: it is a copy. But fine-tuning has blurred what the base had read. So
# the critic reads a part of the corpus again, what it says of answers to how-to questions under the three principles of
# harmlessness, for verbs and objects of the training split only. The question may name a place or a time, and a stock
# phrase may stand in the draft, as people's drafts have them. No answer of this model has been graded: the corpus's
# statements follow the world's rules, and the model has read them before.

# %%
for given, follows in readings(6, seed=0):
    print(f"{given}\n    -> {follows}")

# %%
critic = deepcopy(start.model)
reading = sized(READING)
examples = constitutional.reading_examples(tokenizer, reading)
history = fine_tune(critic, tokenizer, examples, tuning, reading, name="reading", progress=False)
reader = constitutional.Reader(critic, tokenizer)
print(f"{history.seconds[-1]:.0f} seconds of reading.")
record("Critic, reading time", history.seconds[-1], unit="s")

# %% [markdown]
# `reader(prompts)` gives what the critic writes next: one sentence after a question mark, all that comes after a colon.
#
# ### How good are its critiques?
#
# Measure before you build on it. Here, and only to measure, the gold judge says what each critique should have been.
# **Predict**: of drafts that give a harmful method, what share does it find? And of answers to look-alikes, what share
# does it wrongly find unsafe? And how will it do under principles that it has not read again?

# %%
my_found_guess = None  # share of unsafe drafts found
count = 40 if smoke() else 2000
asked = preferences.draw_requests("train", count, seed=60, kinds=["harmful", "lookalike"])
stop = [tokenizer.end]
drafts = evaluation.ask(start.model, tokenizer, asked, form, stop=stop, temperature=1.0, seed=20)
some = drafts[:600]
rows, wrong = [], []
for p in PRINCIPLES:
    critiques = reader([critique_prompt(d.request.text, d.text, p) for d in some])
    found = {True: [], False: []}
    for d, critique in zip(some, critiques):
        right = critique.split()[:1] == ideal_critique(p, d.request, d.text).split()[:1]
        found[breaks(p, d.request, d.text)].append(right)
        if not right and p in HARMLESSNESS:
            wrong.append({"principle": p.name, "asked": d.request.text, "draft": d.text, "critique": critique})
    line = {
        f"{name}": str(evaluation.share(sum(found[key]), len(found[key])))
        for key, name in ((True, "broken: found"), (False, "kept: passed"))
    }
    rows.append({"principle": p.name, "read again": "yes" if p in HARMLESSNESS else "no"} | line)
display(HTML(plots.answer_table(rows)))
record_table("Critiques that are right, by principle, on drafts of the SFT model", rows)

# %%
unsafe = [d for d in some if breaks(PRINCIPLES[0], d.request, d.text)]
said = reader([critique_prompt(d.request.text, d.text, PRINCIPLES[0]) for d in unsafe])
hits = [critique.startswith("no") for critique in said]
tell("unsafe drafts that the critic finds", sum(hits) / max(1, len(hits)), my_found_guess)
by_verb = {}
for d, hit in zip(unsafe, hits):
    by_verb.setdefault(d.request.meta["verb"], []).append(hit)
missed = sorted(by_verb, key=lambda verb: sum(by_verb[verb]) / len(by_verb[verb]))[:3]
print("Least often found:", ", ".join(f"{v} ({sum(by_verb[v])} of {len(by_verb[v])})" for v in missed))
print(f"Wrong critiques under the three principles: {len(wrong)} of {len(HARMLESSNESS) * len(some)}. Some of them:")
display(HTML(plots.answer_table(wrong[:: max(1, len(wrong) // 6)][:6])))

# %% [markdown]
# A critic of half a million weights goes by what usually harms: people and pets. Where a verb turns that round (it is
# fine to free a pet, and not to free a pest), it follows the object and misses. And of principles that ask for
# knowledge of the answer, such as "is it true ?", it knows the words of a critique and not much more. So the
# constitution of this lesson has three principles, and even of these one is half blind: to this critic nearly every
# refusal helps. More would be better only if it could read them; further down you can try.
#
# ## Phase 1: revise, and learn the revisions
#
# `revise` draws a principle for each draft, calls your `critique_and_revise`, and does so again.

# %%
display(Code(inspect.getsource(constitutional.revise), language="python"))


# %%
def state(records, asked=asked):
    """What the texts are like by now: shares among harmful requests, and among look-alikes."""
    labels = {"harmful": [], "lookalike": []}
    for request, each in zip(asked, records):
        labels[request.kind].append(grade(request, each.text).label)
    wanted = {
        "complies": ("harmful", "compliance"),
        "refuses": ("harmful", "refusal"),
        "look-alike: right": ("lookalike", "right"),
        "look-alike: refuses": ("lookalike", "over_refusal"),
    }
    return {name: labels[kind].count(label) / max(1, len(labels[kind])) for name, (kind, label) in wanted.items()}


questions, texts = [d.request.text for d in drafts], [d.text for d in drafts]
path = [state([constitutional.Record(q, t) for q, t in zip(questions, texts)])]
records = constitutional.revise(
    questions, texts, 4, reader, sample_principle, critique_and_revise, watch=lambda now: path.append(state(now))
)

# %%
figure, (ax,) = plots.new_figure(width=7.0, height=3.4)
looks = {
    "complies": (plots.BAD, "o-"),
    "refuses": (plots.GOOD, "s-"),
    "look-alike: right": (SFT_COLOUR, "^--"),
    "look-alike: refuses": (plots.STAGE_COLOURS["ppo"], "v--"),
}
for name, (colour, look) in looks.items():
    ax.plot(range(len(path)), [now[name] for now in path], look, color=colour, label=name)
ax.set(xlabel="rounds of critique and revision", ylabel="share of texts", ylim=(0, 1))
ax.set_xticks(range(len(path)))
ax.set_title(f"Compliance falls from {path[0]['complies']:.2f} to {path[-1]['complies']:.2f}")
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()
# %%
mended = [r for r in records if r.text != r.draft][:5]
table = [
    {
        "asked": r.question,
        "draft": r.draft,
        "critique": next(c for c in r.critiques if c.startswith("no")),
        "after 4 rounds": r.text,
    }
    for r in mended
]
display(HTML(plots.answer_table(table)))
record_answers("Drafts, critiques and revisions", table)

# %% [markdown]
# A round mends what the principle drawn for it can see, so harm falls round by round. Some look-alikes are lost:
# those are the wrong critiques. Where they come from, and what the parts are worth, three variants on the same drafts
# show. **Predict** each before you look: every draft is revised, whatever the critique; the principle "safe" alone;
# all seven.


# %%
def variant(rule, principles=HARMLESSNESS, weights=constitutional.WEIGHTS, reader=reader, rounds=4, size=400):
    """The state after each round, on some of the drafts."""
    steps = [state([constitutional.Record(q, t) for q, t in zip(questions[:size], texts[:size])], asked[:size])]
    constitutional.revise(
        questions[:size], texts[:size], rounds, reader, sample_principle, rule, principles=principles, weights=weights,
        watch=lambda now: steps.append(state(now, asked[:size])),
    )  # fmt: skip
    return steps


def revise_every_draft(questions, drafts, principles, generate):
    prompts = [revision_prompt(q, d, p, p.broken) for q, d, p in zip(questions, drafts, principles)]
    return [p.broken for p in principles], generate(prompts)


# %%
variants = {
    "as above": variant(critique_and_revise),
    "no critique: all revised": variant(revise_every_draft),
    "safe alone": variant(critique_and_revise, HARMLESSNESS[:1], None),
    "all seven principles": variant(critique_and_revise, PRINCIPLES, None),
}
rows = [{"variant": "drafts"} | {name: f"{share:.2f}" for name, share in variants["as above"][0].items()}]
rows += [
    {"variant": name} | {key: f"{share:.2f}" for key, share in steps[-1].items()} for name, steps in variants.items()
]
display(HTML(plots.answer_table(rows)))
record_table("After four rounds, on the same drafts", rows)

# %% [markdown]
# Now the model learns to give the last answer at once. The examples are yours: the bare question and the last
# revision. So that it stays itself elsewhere, it also learns its *own* answers to requests of other kinds, unread and
# unrevised, and some documents. **Predict** what share of held-out harmful requests it will still comply with.

# %%
my_guess = None  # share of harmful requests

# %%
OTHERS = ["fact", "myth", "contested", "unknown", "sum", "list", "describe", "opposite", "repeat", "job", "health"]
others = preferences.draw_requests("train", count, seed=62, kinds=OTHERS)
own = evaluation.ask(start.model, tokenizer, others, form, stop=stop, temperature=1.0, seed=30)


def chat_example(conversation):
    ids = tokenizer.encode(render_chat(conversation))
    return ids, response_mask(torch.tensor(ids), tokenizer.bot, tokenizer.end)


conversations = revision_examples([asdict(each) for each in records])
conversations += [chat.messages(answer.request, answer.text) for answer in own if answer.ended]
learning = sized(REVISIONS)
lessons = [chat_example(each) for each in conversations]
lessons += chat.replay_examples(20 if smoke() else learning.documents, tokenizer, learning.seed)
revised = deepcopy(start.model)
history = fine_tune(revised, tokenizer, lessons, tuning, learning, name="revisions", progress=False)
print(f"{len(lessons):,} examples, {history.seconds[-1]:.0f} seconds.")
record("Constitution, phase 1: training time", history.seconds[-1], unit="s")

# %%
held_out = preferences.draw_requests("test", 60 if smoke() else 800, seed=5)


def measure(name, model):
    """Its answers to held-out requests, and where it stands."""
    answers = evaluation.ask(model, tokenizer, held_out, form, stop=stop, temperature=1.0, seed=5)
    return answers, standing(name, answers, answer_kl(model, start.model, tokenizer, answers))


def new_verb(answer):
    return howto.VERBS[answer.request.meta["verb"]].split != "train"


def complies(answers, new):
    some = [a.verdict.label == "compliance" for a in answers if a.request.kind == "harmful" and new_verb(a) == new]
    return evaluation.share(sum(some), len(some))


results = {"SFT": measure("SFT", start.model), "SFT + revisions": measure("SFT + revisions", revised)}
tell("harmful requests complied with after phase 1", 1 - results["SFT + revisions"][1].harmless.value, my_guess)
for name, (answers, place) in results.items():
    print(f"{name}: complies {1 - place.harmless.value:.3f} of all harmful requests;", end=" ")
    print(f"verbs of the training requests {complies(answers, False)}, other verbs {complies(answers, True)}")
display(HTML(plots.answer_table([place.row() for _, place in results.values()])))

# %% [markdown]
# Verbs that no demonstration, no draft and no reading had are the interesting row: nobody has ever shown this model
# that they are to be refused. What it knows of them is what the base read.
#
# ## Phase 2: labels of its own
#
# Revisions show what to say. Comparisons also show what *not* to say. So the model answers again, several times, and
# a judge says which of two answers keeps a principle better. The judge is the critic, after some more reading: the
# same statements, two drafts at a time, and the letter of the one that keeps the principle. Where both keep it, the
# letter is drawn, so that a judge that has nothing to say says a and b alike.

# %%
judge = deepcopy(critic)
comparing = sized(COMPARING)
examples = constitutional.reading_examples(tokenizer, comparing, comparisons)
history = fine_tune(judge, tokenizer, examples, tuning, comparing, name="comparing", progress=False)
print(comparisons(2, seed=0)[0][0])
hows = preferences.draw_requests("train", 20 if smoke() else 700, seed=70, kinds=["harmful", "lookalike"])
hands = preferences.sample_answers(revised, tokenizer, hows, form, n=4, seed=70, progress=False)
both = [(a, b) for hand in hands for a, b in combinations(hand, 2) if a.text != b.text]
pairs = [preferences.Pair(a.request, a.prompt, a, b, 0.0, 0.0) for a, b in both]
judge_reader = constitutional.Reader(judge, tokenizer)
safe = HARMLESSNESS[0]
label = partial(
    constitutional.prefer, judge_reader, sample_principle=sample_principle, ai_preference=ai_preference,
    principles=[safe], weights=None,
)  # fmt: skip
preference, first, swapped = label(pairs)
print(f"{history.seconds[-1]:.0f} seconds of reading, {len(pairs):,} pairs labelled.")

# %% [markdown]
# In these pairs "chosen" and "rejected" are no more than first and second. How good are the labels? Where exactly one
# of two answers is safe, by the gold judge, the label should say which. **Predict**: how much does asking in both
# orders add?

# %%
exam = [
    pair
    for pair in pairs
    if breaks(safe, pair.request, pair.chosen.text) != breaks(safe, pair.request, pair.rejected.text)
]
_, here, there = label(exam)
truth = torch.tensor([breaks(safe, pair.request, pair.rejected.text) for pair in exam])
ways = {
    "both orders": torch.as_tensor(ai_preference(here, there)),
    "first order only": here.softmax(-1)[:, 0],
    "second order only": there.softmax(-1)[:, 1],
}
for name, p in ways.items():
    right = (p > 0.5) == truth
    print(f"{name:18s} right in {evaluation.share(int(right.sum()), len(right))} of pairs that the principle decides")

# %%
says_a = (first.softmax(-1)[:, 0] + swapped.softmax(-1)[:, 0]) / 2
figure, (ax,) = plots.new_figure(width=6.0, height=3.0)
ax.hist(says_a.tolist(), bins=20, range=(0, 1), color=CAI_COLOUR, alpha=0.7)
ax.axvline(0.5, color=plots.INK, linestyle="--", linewidth=1)
ax.set(xlabel="probability of the letter a, mean of both orders", ylabel="pairs")
ax.set_title(f"A judge without bias would say a half of the time; this one {says_a.mean():.2f}")
plt.show()
record("AI labels that are right, both orders", ((ways["both orders"] > 0.5) == truth).float().mean(), seeds=[0])

# %% [markdown]
# Whatever stands left or right of the middle for both orders is a letter that is liked for itself. The mean over orders
# takes it out, and where the two orders disagree it says so: the label comes near a half.
#
# Then DPO, from the revised model, on two sets of pairs: how-to questions with the model's own soft labels, under the
# principle "safe", and harmless requests, look-alikes among them, with comparisons of people. People say what helps;
# about harm nobody is asked. A soft label counts a pair once in each order, by its probability (`dpo.expected_loss`).
# How many of each? That is a dial. **Predict** what turning it towards the model's own labels does to the two
# numbers.

# %%
helpful = preferences.draw_requests("train", 20 if smoke() else 400, seed=80, kinds=[*OTHERS, "lookalike"])
answers = preferences.sample_answers(revised, tokenizer, helpful, form, n=4, seed=80, progress=False)
people = preferences.compare(answers, UNBIASED, annotate, seed=80).pairs
by_people = dpo.price_pairs(revised, tokenizer, people, sequence_logprobs)


def reinforce(labels, own, others):
    """The revised model after DPO on its labels of ``own`` requests, and people's of ``others`` harmless ones."""
    data = dpo.price_pairs(revised, tokenizer, pairs, sequence_logprobs, labels.tolist())[:own] + by_people[:others]
    policy = deepcopy(revised)
    loss = lambda p: dpo_loss(*p.sums, 0.3)  # noqa: E731
    past = dpo.train_dpo(policy, tokenizer, data, loss, sequence_logprobs, replace(DPO, peak=2e-4), progress=False)
    return policy, past


# %%
aligned, history = reinforce(preference, 400, 400)
stages.save_stage("cai", aligned, seed=0)
record("Constitution, phase 2: training time", history.seconds[-1], unit="s")
results["RLAIF"] = measure("RLAIF", aligned)
results["RLAIF, more own labels"] = measure("RLAIF, more own labels", reinforce(preference, 700, 200)[0])
results["RLAIF, hard labels"] = measure("RLAIF, hard labels", reinforce((preference > 0.5).float(), 400, 400)[0])

# %%
for name, (answers, place) in results.items():
    print(f"{name:24s} complies: training verbs {complies(answers, False)}, other verbs {complies(answers, True)}")
    record(f"{name}: harmless", place.harmless.value, low=place.harmless.low, high=place.harmless.high, seeds=[0])
    record(
        f"{name}: helpful",
        place.helpful.value,
        unit="points",
        low=place.helpful.low,
        high=place.helpful.high,
        seeds=[0],
    )
rows = [place.row() for _, place in results.values()]
display(HTML(plots.answer_table(rows)))
record_table("Before and after both phases, held-out requests", rows)

# %% [markdown]
# That is one run of each phase. `python -m minillm measure frontier` does both with three seeds, on 2,000 held-out
# requests. The three numbers of a cell are the seeds.

# %%
names = {"SFT, {}": "SFT", 'constitution, {"phase": 1}': "revisions alone", 'constitution, {"phase": 2}': "RLAIF"}
seeds = {name: [] for name in names.values()}
for run in frontier.load():
    if (name := names.get(f"{run['method']}, {json.dumps(run['setting'])}")) is not None:
        seeds[name].append(run)
rows = [
    {
        "model": name,
        "complied with": "  ".join(f"{1 - run['harmless'][0]:.3f}" for run in runs),
        "look-alikes refused": "  ".join(f"{run['lookalikes_refused']:.3f}" for run in runs),
        "helpful (points)": "  ".join(f"{run['helpful'][0]:+.2f}" for run in runs),
        "KL (nats)": "  ".join(f"{run['kl'][0]:.2f}" for run in runs),
    }
    for name, runs in seeds.items()
]
display(HTML(plots.answer_table(rows)))
record_table("Both phases, three seeds", rows)

# %% [markdown]
# ## See it: harmless against helpful
#
# Your stages, with 95% intervals over requests, beside the methods of lessons 06 to 09 at their usual settings, which
# had a person's label for every harmful answer (data/measured/frontier.json, three seeds each).

# %%
marks = {
    "SFT": ("sft", "o"),
    "SFT + revisions": ("cai", "s"),
    "RLAIF": ("cai", "D"),
    "RLAIF, more own labels": ("cai", "^"),
    "RLAIF, hard labels": ("cai", "x"),
}

# %%
figure, (ax,) = plots.new_figure(width=7.5, height=4.2)
for name, (_, place) in results.items():
    stage, marker = marks[name]
    x, y = place.harmless, place.helpful
    ax.errorbar(
        x.value, y.value, [[y.value - y.low], [y.high - y.value]], [[x.value - x.low], [x.high - x.value]],
        fmt=marker, color=plots.STAGE_COLOURS[stage], capsize=2, label=name,
    )  # fmt: skip
for run in frontier.load():
    usual = {"PPO": 0.1, "GRPO": 0.04, "DPO": 0.3}.get(run["method"])
    if usual is not None and run["setting"]["beta"] == usual:
        label = f"{run['method']}, people's labels" if run["seed"] == 0 else None
        colour = plots.STAGE_COLOURS[run["method"].lower()]
        ax.plot(run["harmless"][0], run["helpful"][0], "*", color=colour, markersize=8, label=label)
ax.set(xlabel="harmful requests not complied with", ylabel="gold, harmless requests (points)")
ax.set_title("What each way buys, and what it costs")
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %%
before, after = results["SFT"][0], results["RLAIF"][0]
changed = [i for i, request in enumerate(held_out) if before[i].text != after[i].text]
picked = [i for i in changed if held_out[i].kind == "harmful"][:4] + [
    i for i in changed if held_out[i].kind == "lookalike"
][:4]
rows = [
    {
        "asked": held_out[i].text,
        "SFT": (before[i].text, before[i].verdict.score > 0),
        "CAI": (after[i].text, after[i].verdict.score > 0),
    }
    for i in picked
]
display(HTML(plots.answer_table(rows)))
record_answers("Before and after the constitution", rows)

# %% [markdown]
# Read the table above with your own numbers. Phase 1 takes away most of the compliance, and some look-alikes with it.
# What phase 2 does depends on the dial: as many comparisons of people as labels of its own, and helpfulness comes
# back while harm stays about where it was; more labels of its own, and harm falls further, and refusals of
# look-alikes rise. The labels of a judge that is sure of too much (hard ones) push harder than it knows. What the
# critic cannot see stays in all of them: a model cannot teach itself what it does not know.
#
# ## Clinic
#
# Four broken rounds on the same drafts; the dashed lines are the healthy ones. The suspects:
#
# 1. every draft is revised, flagged or not
# 2. revisions are put at the beginning of the list, not where the flagged drafts stood
# 3. the principle is always the same, "kind"
# 4. the drafts that were found fine are revised, and the others kept
# 5. the critic is the SFT model, which has not read the constitution again


# %% tags=["clinic"]
def at_the_front(questions, drafts, principles, generate):
    critiques, texts = critique_and_revise(questions, drafts, principles, generate)
    changed = [text for text, draft in zip(texts, drafts) if text != draft]
    return critiques, changed + drafts[len(changed) :]


def turned(text):
    """A critique with its first word turned round."""
    first, _, rest = text.partition(" ")
    return f"{({'yes': 'no', 'no': 'yes'}).get(first, first)} {rest}"


def upside_down(questions, drafts, principles, generate):
    def contrary(prompts):
        return [turned(text) if p.endswith("?") else text for p, text in zip(prompts, generate(prompts))]

    return critique_and_revise(questions, drafts, principles, contrary)


# %% tags=["clinic"]
cases = {
    "A": variant(at_the_front, size=300),
    "B": variant(upside_down, size=300),
    "C": variant(critique_and_revise, HARMLESSNESS[1:2], None, size=300),
    "D": variant(revise_every_draft, size=300),
}
# %% tags=["clinic"]
healthy = variant(critique_and_revise, size=300)
figure, axes = plt.subplots(1, 4, figsize=(10, 3.0), sharey=True)
for ax, (case, steps) in zip(axes, cases.items()):
    for name, (colour, look) in looks.items():
        ax.plot([now[name] for now in healthy], ":", color=colour, linewidth=1)
        ax.plot([now[name] for now in steps], look[0] + "-", color=colour, markersize=4, label=name)
    ax.set(title=f"run {case}", xlabel="round")
axes[0].set_ylabel("share of texts")
axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 2, "B": 4, "C": 3, "D": 1}

# %%
diagnose(suspects, key={"A": "fb86eaa7", "B": "c16f5687", "C": "e73f91f8", "D": "bcb1e774"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**, a little of everything, and then nothing: the revisions are refusals, written for whoever was flagged and
#   given to whoever stood first. The flagged drafts stay as they were, and the same look-alikes are lost again each
#   round.
# - **B**, compliance that stays: unsafe drafts are the ones that are left alone, and what was fine is refused.
# - **C**, nothing moves in these curves, though bare refusals find an offer: "kind" asks how no is said, not whether.
# - **D**, harm gone at once, and the look-alikes with it: safety by refusing everything.
#
# Not there: **5**. A critic that has not read again still knows the words; it misses more, and flags more that is fine.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - A model that became harmless by its own critiques and its own labels: three principles, and no person's label on any
#   harmful answer. Its knowledge of harm is what its corpus said.
# - The same knowledge has the same holes in both phases: what the critic misses, the labels miss.
# - A critique decides *whether* to revise. Without it, revision is refusal of everything.
# - Soft labels from both orders: a judge's love of a letter costs pairs, not alignment, once it is averaged out.
#
# **To read.** Bai et al. 2022, *Constitutional AI: harmlessness from AI feedback*, sec. 3 and 4. · Lee et al. 2023,
# *RLAIF: scaling reinforcement learning from human feedback with AI feedback*: position bias, and both orders. ·
# Saunders et al. 2022, *Self-critiquing models*. · Huang et al. 2024, *Large language models cannot self-correct
# reasoning yet*. · Sharma et al. 2024, *A critical evaluation of AI feedback for aligning large language models*.
#
# Next is lesson 11: how aligned is it, really?
