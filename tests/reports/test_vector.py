"""What a stranger's PNG notes as SVG is harmless on a page."""

from __future__ import annotations

import pytest

from maecli.reports.vector import MOST_LETTERS, inline, read_chart


def shown(content: str, **attributes: str) -> str:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {spaces} viewBox="0 0 4 3">{content}</svg>'
    return inline(svg, "a-", attributes)


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>",
        "<foreignObject><b>x</b></foreignObject>",
        "<a xlink:href='https://example.org'><path d='M 0 0'/></a>",
        "<style>*{fill:red}</style>",
        "<image xlink:href='https://example.org/x.png'/>",
        "<image xlink:href='data:image/svg+xml;base64,AAAA'/>",
        "<use xlink:href='other.svg#x'/>",
        "<path onload='alert(1)' d='M 0 0'/>",
        "<path style='fill: url(https://example.org)'/>",
        "<path style='fill: red; background: url(x)'/>",
        "<animate attributeName='href' to='javascript:alert(1)'/>",
    ],
)
def test_nothing_but_shapes_and_text_is_kept(content: str) -> None:
    written = shown(content)

    for word in [
        "script",
        "foreign",
        "http",
        "onload",
        "<style",
        "svg+xml",
        "other",
        "url",
        "animate",
        "background",
        "<a",
    ]:
        assert word not in written


def test_shapes_text_and_style_are_kept() -> None:
    content = (
        "<g id='x'><g><path id='used' d='M 0.123 1.04' style='fill: var(--ink); stroke-width: 0.5'/></g></g>"
        "<use xlink:href='#used' x='1.26'/><text transform='rotate(-90 1 2)'>cat &lt;b&gt; &amp;</text>"
    )
    assert shown(content, role="img") == (
        '<svg viewBox="0 0 4 3" role="img">'
        '<path d="M 0.1 1" id="a-used" style="fill:var(--ink);stroke-width:0.5"></path>'
        '<use href="#a-used" x="1.3"></use><text transform="rotate(-90 1 2)">cat &lt;b&gt; &amp;</text></svg>'
    )


@pytest.mark.parametrize("svg", ["", "<svg", "<b/>", "text"])
def test_what_is_no_svg_is_not_shown(svg: str) -> None:
    assert inline(svg, "a-", {}) == ""


NOTES: list[dict[str, object]] = [
    {},
    {"mae:svg": b"<svg/>"},
    {"mae:svg": "x" * (MOST_LETTERS + 1)},
    {"mae:svg": "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>"},
]


@pytest.mark.parametrize("note", NOTES)
def test_notes_that_are_not_ours_are_left_alone(note: dict[str, object]) -> None:
    assert read_chart(note) is None
