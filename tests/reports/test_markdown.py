from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from maecli.reports.markdown import block, plain, points, table

HOSTILE = [
    "a|b", "<img src=x onerror=alert(1)>", "[a](b)", "# head", "- point", "1. first", "10.5%", "**bold** `code` ~~no~~",
    "&lt;", "a\\|b", "step_1", "two\nlines", "---", "= =", "\x1b[31m", "$x$",
]  # fmt: skip


def shown(text: str) -> list[str]:
    """Return the texts that Markdown shows, and fail for marks that it obeys."""
    parser, texts = MarkdownIt("commonmark").enable(["table", "strikethrough"]), []
    for token in parser.parse(text):
        for child in token.children or ():
            assert child.type == "text", (text, child)
        if token.children is not None:
            texts.append("".join(child.content for child in token.children))
        assert token.type not in ("html_block", "heading_open", "hr")
    return texts


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("\x1b", "\\x1b")


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_shown_as_they_are_wherever_they_stand(text):
    assert shown(plain(text)) == [one_line(text)]
    assert shown(points([plain(text)])) == [one_line(text)]
    assert shown(table(("name", "number"), [(plain(text), "1")])) == ["name", "number", one_line(text), "1"]


def test_a_block_holds_fences():
    (token,) = MarkdownIt().parse(block("a\n````\nb", "yaml"))
    assert (token.type, token.info, token.content) == ("fence", "yaml", "a\n````\nb\n")
