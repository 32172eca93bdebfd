"""The snippets of the specification, tests/data/erlang-integration.md, as they stand there.

    snippet("WebSocket with Pub/Sub")      the first below that heading
    snippet("Authentication", "erlang")    the first in Erlang
"""

import re

from harness import SOURCE

DOCUMENT = SOURCE / "tests" / "data" / "erlang-integration.md"
#: A heading of a section or, as for the use cases, a line in bold; or a block of code.
PARTS = re.compile(r"^(?:#{2,3} ([^\n]+)|\*\*([^\n]+):\*\*)$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets():
    """(heading, language, text) of each, in the document's order."""
    found, heading = [], None
    for title, bold, language, text in PARTS.findall(DOCUMENT.read_text()):
        if language:
            found.append((heading, language, text))
        else:
            heading = title or bold
    return found


def snippet(heading, language="python"):
    text, = (text for title, tongue, text in snippets() if (title, tongue) == (heading, language))
    return text
