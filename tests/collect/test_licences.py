"""Licences: every spelling that the atlas is known to use, and nothing recognised that does not say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seran_lib.collect.licences import is_open, normalise, url

ACRONYMS = (
    *("CC0 1.0", "PUBLIC-DOMAIN", "ALL-RIGHTS-RESERVED"),
    *(f"CC BY {version}" for version in ("2.5 AU", "3.0", "3.0 AU", "3.0 NZ", "4.0", "4.0 AU")),
    *(f"CC BY-NC {version}" for version in ("2.5", "3.0", "3.0 AU", "4.0")),
    *("CC BY-SA 3.0", "CC BY-SA 4.0", "CC BY-ND 4.0"),
    *("CC BY-NC-SA 3.0", "CC BY-NC-SA 3.0 AU", "CC BY-NC-SA 4.0", "CC BY-NC-ND 4.0"),
)
ON_RECORDS = {
    "CC0": "CC0 1.0",
    "CC-BY": "CC BY",
    "CC-BY 3.0 (Au)": "CC BY 3.0 AU",
    "CC-BY 4.0 (Int)": "CC BY 4.0",
    "CC-BY-NC": "CC BY-NC",
    "CC-BY-NC 2.5 (Int)": "CC BY-NC 2.5",
    "CC-BY-NC 3.0 (Au)": "CC BY-NC 3.0 AU",
    "CC-BY-NC 3.0 (Aus)": "CC BY-NC 3.0 AU",
    "CC-BY-NC 4.0 (Int)": "CC BY-NC 4.0",
    "CC BY-NC-Int": "CC BY-NC",
    "CC-BY-NC-Aus": "CC BY-NC AU",
    "CC-BY-NC-SA 4.0 (Int)": "CC BY-NC-SA 4.0",
    "CC-BY-NC-ND 4.0 (Int)": "CC BY-NC-ND 4.0",
    "CC-BY-SA 4.0 (Int)": "CC BY-SA 4.0",
    "CC-BY-ND 4.0 (Int)": "CC BY-ND 4.0",
}
ON_IMAGES = {
    "http://creativecommons.org/licenses/by-nc/4.0/": "CC BY-NC 4.0",
    "https://creativecommons.org/licenses/by/3.0/au": "CC BY 3.0 AU",
    "https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode.en": "CC BY-NC-ND 4.0",
    "HTTPS://WWW.CREATIVECOMMONS.ORG/LICENSES/BY-SA/3.0/DEED.DE": "CC BY-SA 3.0",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0 1.0",
    "https://creativecommons.org/publicdomain/zero/1.0/legalcode": "CC0 1.0",
    "https://creativecommons.org/publicdomain/mark/1.0/": "PUBLIC-DOMAIN",
    "https://wiki.creativecommons.org/wiki/public_domain": "PUBLIC-DOMAIN",
    "https://en.wikipedia.org/wiki/All_rights_reserved": "ALL-RIGHTS-RESERVED",
    "© All rights reserved.": "ALL-RIGHTS-RESERVED",
    "Public Domain": "PUBLIC-DOMAIN",
    "Creative Commons Zero": "CC0 1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0 1.0",
    "Creative Commons Attribution (International)": "CC BY",
    "Creative Commons Attribution-Noncommercial (Australia)": "CC BY-NC AU",
    "Creative Commons Attribution 3.0 (New Zealand)": "CC BY 3.0 NZ",
    "Creative Commons Attribution-NonCommercial-NoDerivs 3.0 Unported License": "CC BY-NC-ND 3.0",
    "Attribution-NonCommercial-ShareAlike 3.0 Australia": "CC BY-NC-SA 3.0 AU",
    "Attribution-NoDerivatives 4.0": "CC BY-ND 4.0",
    "Creative Commons Attribution 4.0 International (CC BY 4.0)": "CC BY 4.0",
    "Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)": "CC BY-NC 4.0",
    "Creative Commons Zero (CC0 1.0)": "CC0 1.0",
    "  cc-by-nc  ": "CC BY-NC",
    "CC BY 4": "CC BY 4.0",
}
UNKNOWN = (
    *("", " ", "Custom", "other", "Creative Commons - license at record level", "unrecognised_licence", "CC", "BY 4.0"),
    *("not CC BY 4.0", "CC BY 4.0 or all rights reserved", "CC BY 4.0 for members", "CC BY me", "attribution"),
    *(
        "Creative Commons Attribution 4.0 International (CC BY-NC 4.0)",
        "Custom (CC BY 4.0)",
        "CC BY 4.0 (not for sale)",
    ),
    *("CC BY 9.9", "CC BY-ND-SA 4.0", "https://example.org/licenses/by/4.0/"),
    *("https://creativecommons.org.example.org/licenses/by/4.0/", "https://creativecommons.org/licenses/by/7.0/"),
)


@pytest.mark.parametrize(
    ("text", "acronym"), [*((acronym, acronym) for acronym in ACRONYMS), *ON_RECORDS.items(), *ON_IMAGES.items()]
)
def test_spellings_in_use(text, acronym):
    assert normalise(text) == acronym
    assert normalise(text.upper()) == acronym
    assert normalise(acronym) == acronym


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_no_licence_is_not_made_one(text):
    assert normalise(text) == ""
    assert not is_open(text)
    assert url(text) == ""


@given(st.text() | st.sampled_from([*ACRONYMS, *ON_RECORDS, *ON_IMAGES]).flatmap(lambda text: st.permutations(text)))
def test_any_text_gives_an_acronym_or_nothing(text):
    acronym = normalise("".join(text))
    assert normalise(acronym) == acronym


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=12).map(lambda letters: "x" + letters)


@given(st.sampled_from([*ACRONYMS, *ON_RECORDS, *ON_IMAGES]), WORDS)
def test_a_sentence_that_mentions_a_licence_is_not_that_licence(text, word):
    assert normalise(f"{word} {text}") == ""
    assert normalise(f"{text} {word}") == ""


@given(
    st.sampled_from(["by", "by-nc", "by-sa", "by-nd", "by-nc-sa", "by-nc-nd"]),
    st.sampled_from(["1.0", "2.0", "2.5", "3.0", "4.0"]),
    st.sampled_from(["", "au", "nz", "de", "scotland"]),
)
def test_an_address_survives_the_way_there_and_back(code, version, country):
    country = "" if version == "4.0" else country
    address = f"https://creativecommons.org/licenses/{code}/{version}/" + (f"{country}/" if country else "")
    assert url(normalise(address)) == address


@pytest.mark.parametrize(
    ("licence", "address"),
    [
        ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("PUBLIC-DOMAIN", "https://creativecommons.org/publicdomain/mark/1.0/"),
        ("CC BY 4.0 AU", "https://creativecommons.org/licenses/by/4.0/"),
        ("CC BY-NC", ""),
        ("CC BY-NC AU", ""),
        ("ALL-RIGHTS-RESERVED", ""),
    ],
)
def test_addresses_that_are_not_simply_the_acronym(licence, address):
    assert url(licence) == address


def test_open_is_what_may_be_passed_on():
    assert all(is_open(acronym) for acronym in ACRONYMS if acronym != "ALL-RIGHTS-RESERVED")
    assert is_open("CC BY-NC AU")
    assert not is_open("ALL-RIGHTS-RESERVED")
