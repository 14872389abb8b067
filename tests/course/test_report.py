"""The report: self-contained, escaped, readable by a screen reader."""

import re
from html.parser import HTMLParser

import pytest

from minillm.course.report import Report, Section, figures, headline, render, value_text

PICTURE = "iVBORw0KGgo="


def executed(*outputs: dict, heading: str = "## See it", **metadata: object) -> dict:
    cells = [
        {"cell_type": "markdown", "source": [heading], "metadata": {}},
        {"cell_type": "code", "source": "", "metadata": metadata, "outputs": list(outputs)},
    ]
    return {"cells": cells}


def plot() -> dict:
    return {"output_type": "display_data", "data": {"image/png": PICTURE}, "metadata": {}}


def printed(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def page(**fields: object) -> str:
    section = Section("03", "03_pretraining", "Pretraining", **{"seconds": 12.3, **fields})
    return render(Report("What the course built", "An intro.", [section], {"Python": "3.11"}))


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_no_network():
    text = page(notebook=executed(plot(), printed("The loss fell.")))
    tags = Tags(text)
    assert tags.open == []
    for tag, attributes in tags.found:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "href"):
            assert re.match(r"data:|#|$", attributes.get(name, ""))
    assert "url(" not in text and "@import" not in text


def test_every_picture_says_what_it_shows():
    text = page(notebook=executed(plot(), printed("Steps: 3\nThe loss fell.\n"), plot()))
    pictures = [attributes for tag, attributes in Tags(text).found if tag == "img"]
    assert len(pictures) == 2 and all(each["alt"] == "Plot. See it. The loss fell." for each in pictures)


def test_a_caption_can_be_given():
    found = figures(executed(plot(), printed("something else"), caption="The curve bends."))
    assert found[0].caption == "The curve bends."


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b < c"])
def test_whatever_a_lesson_recorded_is_escaped(evil):
    records = [
        {"kind": "number", "name": evil, "value": 1.0, "unit": evil, "seeds": [evil]},
        {"kind": "answers", "name": evil, "rows": [{evil: [evil, True], "b": [evil, False], "c": evil}]},
        {"kind": "table", "name": evil, "rows": [{evil: evil}], "note": evil},
    ]
    text = page(records=records, notebook=executed(plot(), printed(evil), heading="# " + evil), error=evil)
    assert evil not in text
    assert not [tag for tag, attributes in Tags(text).found if tag == "script" or "onerror" in attributes]


def test_answers_carry_signs_not_only_colours():
    rows = [{"prompt": "q", "base": ["wrong one", False], "sft": ["right one", True], "dpo": ["open", None]}]
    text = page(records=[{"kind": "answers", "name": "Samples", "rows": rows}])
    assert "✓</span> right one" in text and "✗</span> wrong one" in text and "<td>open</td>" in text


def test_numbers_are_short_and_carry_unit_and_interval():
    assert value_text({"value": 0.123456, "unit": None}) == "0.123"
    assert value_text({"value": 12345.6, "unit": "tokens/s"}) == "12,346 tokens/s"
    assert value_text({"value": 35.0, "unit": "%", "low": 31.25, "high": 39.0}) == "35% [31.2, 39]"
    assert value_text({"value": "nan", "unit": None}) == "nan"
    assert headline([{"kind": "number", "name": "loss", "value": 2.0, "unit": None}]) == ["loss 2"]


def test_a_lesson_that_did_not_run_is_listed_but_has_no_section():
    text = render(Report("T", "I", [Section("04", "04_sft", "SFT", "not run")], {}))
    assert "04 SFT" in text and 'id="lesson-04"' not in text
