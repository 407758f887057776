"""Rewrites of a search query by rules for English. No network, the same answer every time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

SWAPS = tuple(
    (re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE), text)
    for pattern, text in (
        (r"(hi|hello|hey)( there| all| everyone)?(?=[,.! ])[,.!]*", ""),
        (r"(many )?(thanks|thank you)( so much| very much| a lot)?( in advance)?", ""),
        (r"i (was|am|'m) (just )?wondering (if|whether)( you (could|can))?", ""),
        (r"(i|we)('d| would) (really )?(like|love) (to know|to find out|to learn|to understand)( about)?", ""),
        (r"(i|we) (just )?(want|need) to (know|find out|understand)( about)?", ""),
        (r"(do you happen to|do you|does anyone|does anybody) know( if| whether)?", ""),
        (
            r"(could|can|would|will) you( please| kindly)?( (tell|show|give|explain to|help) (me|us))?( with| about)?",
            "",
        ),
        (r"(please )?(tell|show|explain to) (me|us)( about)?", ""),
        (r"is there (any|a|some) way (to|of)", "how to"),
        (r"(how|where) (do|can|could|should|would) (i|we|you|one)", r"\1 to"),
        (r"what('s| is| are) the (best|easiest|fastest|right) way to", "how best to"),
        (r"in order to", "to"),
        (r"(due to|because of) the fact that", "because"),
        (r"at (this|the present) (point in time|moment)", "now"),
        (r"with (regard|respect) to|in (regard|relation) to|pertaining to", "about"),
        (r"a (large|great) number of|a lot of|lots of", "many"),
        (r"in the event that", "if"),
        (r"for the purpose of", "for"),
        (r"please|kindly|actually|basically|essentially|literally|simply|really|very|quite", ""),
        (r"you know|i mean|i guess|i think|kind of|sort of|as well|at all|if possible", ""),
        (r"^explain(?= (why|how|what))", ""),
    )
)
ARTICLES = re.compile(r"(?<!\w)(the|an|a)(?= \w)")
QUOTED = re.compile(r"(\"[^\"]+\"|“[^“”]+”)")
YEAR = re.compile(r"(?<![\w.])(?:1[5-9]|20)\d\d(?![\w.]*\d)")
VERSION = re.compile(r"\b[A-Za-z][\w+#]{0,30} v?\d+(?:\.\d+)*\b")
ENTITY = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]{0,40}(?: [A-Z][\w'’-]{0,40})+")
DOMAIN = re.compile(r"\b(?:[a-z0-9-]{1,63}\.){1,4}(?:com|org|net|edu|gov|io|dev|info|de|fr|uk|eu)\b", re.IGNORECASE)
SITES = {"wikipedia": "wikipedia.org", "reddit": "reddit.com", "github": "github.com", "youtube": "youtube.com"}
FILES = {"pdf": "pdf", "spreadsheet": "xlsx", "excel": "xlsx", "slides": "pptx", "powerpoint": "pptx", "csv": "csv"}
QUALIFIERS = 20  # that a query is narrowed by at most
COMMON = """
    a an and are as at be been best between but by can could did do does for from had has have how i if in into is
    it its many me much my not now of on or our should so than that the their then there these they this those to us
    was we were what when where which who whom whose why will with would you your
"""
STOPWORDS = frozenset(COMMON.split())
GENERAL = tuple(
    (re.compile(pattern, re.IGNORECASE), question)
    for pattern, question in (
        (r"^how (best )?to\b", "What general methods are there to {}?"),
        (r"^why\b", "What usually leads to {}?"),
        (r"^when\b", "What is the history of {}?"),
        (r"^where\b", "Where is {} usually found?"),
        (r"^who\b", "What is known about the people behind {}?"),
        (r"^how (much|many|long|far|often)\b", "What determines the amount of {}?"),
    )
)


def conciseness(query: str) -> str:
    """The query without politeness, fillers and articles; never longer, never empty."""
    query = " ".join(query.split())
    parts = QUOTED.split(query)
    # What stands between quotes is meant word for word: every second part of the split.
    parts[::2] = [_shorten(part) for part in parts[::2]]
    short = _tidy(" ".join(parts))
    return short if short and len(short) <= len(query) else query


def specificity(query: str) -> str:
    """The query narrowed by what it names itself: phrases, years, versions, sites, file types."""
    query = " ".join(query.split())
    base = conciseness(query)
    added = [qualifier for qualifier in islice(dict.fromkeys(_qualifiers(query)), QUALIFIERS) if qualifier not in base]
    if not added and (terms := _terms(base)):
        # It names nothing: at least the heaviest word must stand in the title.
        added = [f"intitle:{max(terms, key=len)}"]
    return " ".join([base, *added])


def stepback(query: str) -> str:
    """The more general question behind the query: without its names, years and numbers."""
    base = conciseness(query)
    terms = _terms(base)
    general = _terms(ENTITY.sub(" ", VERSION.sub(" ", YEAR.sub(" ", QUOTED.sub(" ", base)))))
    general = [term for term in general if not any(letter.isdigit() for letter in term)]
    # One word left over from a question about a name is not its topic.
    topic = " ".join(general if len(general) > 1 else terms) or base
    for pattern, question in GENERAL:
        if pattern.match(base):
            return question.format(topic)
    return f"What are the basic concepts of {topic}?"


RULES: dict[str, Callable[[str], str]] = {
    "conciseness": conciseness,
    "specificity": specificity,
    "stepback": stepback,
}


def _shorten(text: str) -> str:
    for pattern, replacement in SWAPS:
        text = " ".join(pattern.sub(replacement, text).split())
    return ARTICLES.sub("", text)


def _tidy(text: str) -> str:
    text = re.sub(r" ([,.;:!?])", r"\1", " ".join(text.split()))
    text = re.sub(r"([,.;:!?])[,.;:!?]+", r"\1", text)
    return text.strip(" ,.;:!?")


def _terms(text: str) -> list[str]:
    words = re.findall(r"[^\W_][\w.+#'’-]*", text)
    return [word.strip(".'’-") for word in words if word.lower() not in STOPWORDS]


def _qualifiers(query: str) -> Iterator[str]:
    bare = QUOTED.sub(" ", query)
    for found in (*ENTITY.findall(bare), *VERSION.findall(YEAR.sub(" ", bare)), *YEAR.findall(bare)):
        yield f'"{found}"'
    words = re.findall(r"\w+", bare.lower())
    yield from (f"site:{domain.lower()}" for domain in DOMAIN.findall(bare))
    yield from (f"site:{SITES[word]}" for word in words if word in SITES)
    yield from (f"filetype:{FILES[word]}" for word in words if word in FILES)
