"""HTML made in one place: whatever is not made here is text, and is escaped."""

import html

from studio.language.escaping import unturned


class Html(str):
    """Finished HTML; only `element` makes it."""

    __slots__ = ()


def element(tag: str, *content: object, **attributes: object) -> Html:
    """One element; content that is not `Html` is text. `kind` is written as `class`, `_` in a name as `-`.

    >>> element("b", "1 < 2", kind="big")
    '<b class="big">1 &lt; 2</b>'
    >>> element("p", element("b", "x"), " & y", aria_label='"')
    '<p aria-label="&quot;"><b>x</b> &amp; y</p>'
    """
    written = "".join(
        f' {"class" if name == "kind" else name.replace("_", "-")}="{html.escape(unturned(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inside = "".join(part if isinstance(part, Html) else html.escape(unturned(part)) for part in content)
    return Html(f"<{tag}{written}>{inside}</{tag}>")


def breaking(text: str) -> Html:
    """A text that goes on in a second line behind an underscore, where there is no blank.

    >>> breaking("<card_lost>")
    '&lt;card_<wbr>lost&gt;'
    """
    return Html(html.escape(unturned(text)).replace("_", "_<wbr>"))


def joined(*parts: Html) -> Html:
    return Html("".join(parts))
