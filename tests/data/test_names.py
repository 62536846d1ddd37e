"""File names: every one acceptable anywhere, and no two names of things in one place."""

import re
import unicodedata
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seran_lib.data.names import LONGEST, slug

RESERVED = {"con", "prn", "aux", "nul", "com1", "com9", "lpt1", "lpt9"}
ANY_TEXT = st.text(max_size=400)
LOOKALIKES = st.text(alphabet="aAáÁäb ._-x×/\\", max_size=6)


def examples(*cases):
    """Each of `cases` is tried besides what hypothesis thinks of."""
    return lambda test: reduce(lambda test, case: example(case)(test), cases, test)


@given(ANY_TEXT)
@examples("", ".", "../../etc/passwd", "/absolute", "C:\\pictures\\bee", "con", "NUL.txt", "com1", "trailing dot.")
@examples("trailing space ", "-rf", "new\nline\0nul", "Ω" * 300, "Apis " + "m" * 300)
@examples("\ud800")  # half a character, as damaged files hold
def test_every_name_is_acceptable_on_every_system(text):
    name = slug(text)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
    assert len(name) <= LONGEST
    assert name not in RESERVED
    assert slug(text) == name


@given(st.one_of(st.tuples(LOOKALIKES, LOOKALIKES), st.tuples(ANY_TEXT, ANY_TEXT)))
@examples(("Apis mellifera", "apis mellifera"), ("Apis mellifera", "APIS MELLIFERA"), ("Apis", "apis"))
@examples(("Apis mellifera", "Apis  mellifera"), ("Apis mellifera", "Apis mellifera "), ("a/b", "a\\b"))
@examples(("Apis mellifera", "apis_mellifera"), ("Aphis fabae", "Aphis fábae"), ("x" * 300, "x" * 299 + "y"))
@examples((unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")))
@examples(("Apis ×mellifera", "Apis x mellifera"), ("Apis " + "m" * 200, "Apis " + "m" * 201))
def test_different_names_never_share_a_file(pair):
    first, second = pair
    assert (slug(first) == slug(second)) == (first == second)


@given(ANY_TEXT)
def test_a_name_made_from_a_name_is_another_thing(text):
    """A species that is called like the folder of another one must not get into it."""
    assert slug(text) == text or slug(slug(text)) != slug(text)


@pytest.mark.parametrize(
    "text, name",
    [
        ("Apis mellifera", "apis_mellifera"),
        ("Heliconius erato petiverana", "heliconius_erato_petiverana"),
        ("Vanessa c-album", "vanessa_c-album"),
        ("0b5c7a52-8f04-4c4e-9d0d-0e3f6f2a9a10", "0b5c7a52-8f04-4c4e-9d0d-0e3f6f2a9a10"),
    ],
)
def test_ordinary_names_stay_readable(text, name):
    assert slug(text) == name


def test_a_hybrid_keeps_its_sign_as_a_letter():
    assert slug("Papilio ×hybridus").startswith("papilio_x_hybridus__")
