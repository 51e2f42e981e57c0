"""Code that stands in a block of Markdown. Text in, text out."""

from __future__ import annotations

import re

_FENCE = "```"
_BLOCK = re.compile(rf"{_FENCE}(?:python3?|py)?[ \t]*\r?\n(?P<code>.*){_FENCE}", re.DOTALL | re.IGNORECASE)


def code(text: str) -> str | None:
    """What one fenced block of Python holds, or all of a text without fences; ``None`` where there are more, or words around it.

    Example:
        >>> code("```python\\nx = 1\\n```"), code(" x = 1"), code("Here it is: ```x = 1```")
        ('x = 1\\n', 'x = 1', None)
    """
    text = text.strip()
    if _FENCE not in text:
        return text
    found = _BLOCK.fullmatch(text)
    return found["code"] if found and text.count(_FENCE) == 2 else None
