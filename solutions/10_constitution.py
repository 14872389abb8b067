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
import torch
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
from collections.abc import Callable, Sequence

from minillm import plots
from minillm.tinyland.constitution import HARMLESSNESS, PRINCIPLES, Principle

# %%
plots.use_style()

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
    either end. Spaces at the ends of question and draft are dropped; an empty draft leaves no gap. Bai et al. 2022, sec. 3.1.
    """
    # BEGIN SOLUTION
    parts = ["read : question :", question.strip(), "answer :", draft.strip(), principle.critique_request]
    return " ".join(part for part in parts if part)
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
    return " ".join([asked, critique.strip(), principle.revision_request])
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="revision_prompt"
# Where to start
# You have written the first part already: call it.

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
    Exchanging the answers gives 1 - p. Bai et al. 2022, sec. 4.1.
    """
    # BEGIN SOLUTION
    as_a = logprobs.detach().softmax(dim=-1)[:, 0]  # (N,)
    as_b = swapped_logprobs.detach().softmax(dim=-1)[:, 1]
    return (as_a + as_b) / 2
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ai_preference"
# Where to start
# Two softmaxes over the last dimension, one for each order, and from each the column in which answer 1 stood.

# %% tags=["check"]
check("ai_preference")
