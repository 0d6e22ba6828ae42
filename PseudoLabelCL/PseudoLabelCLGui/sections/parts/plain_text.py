"""Texts for tool tips and dialogs, which Qt takes for a page if they look like one."""

import html


def plain(text: str) -> str:
    """Return a text that Qt shows letter by letter, whatever names from elsewhere stand in it.

    Qt takes a tool tip or the text of a dialog with a tag in it for a page, which may hide words
    and load pictures. Labels need none of this: theirs are plain by their own setting.
    """
    if "<" not in text:
        return text
    return f'<p style="white-space:pre-wrap">{html.escape(text)}</p>'
