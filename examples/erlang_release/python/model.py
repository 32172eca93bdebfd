"""A model of the tone of a review: naive Bayes over words, learnt when it is imported.

A real one is loaded here instead, once for each worker.  What counts is the last
line: Erlang then calls it as hornbeam:call_python(tone, [Text]).
"""

import collections
import math
import re

from hornbeam_erlang import register

GOOD = "sweet and fresh|crisp, juicy, lovely|the best pear ever|lovely taste|good price and good taste"
BAD = "rotten and sour|bad taste|mushy, old, rotten|the worst apple ever|sour and too dear"


def words(text):
    return re.findall(r"\w+", text.lower())


GOOD_WORDS, BAD_WORDS = (collections.Counter(words(texts)) for texts in (GOOD, BAD))
VOCABULARY = len(GOOD_WORDS | BAD_WORDS)


def log_odds(word):
    good = (GOOD_WORDS[word] + 1) / (GOOD_WORDS.total() + VOCABULARY)
    bad = (BAD_WORDS[word] + 1) / (BAD_WORDS.total() + VOCABULARY)
    return math.log(good / bad)


def tone(text):
    """How probable it is that a text is a good review."""
    return 1 / (1 + math.exp(-sum(map(log_odds, words(text)))))


register("tone", tone)
