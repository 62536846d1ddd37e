"""Licences of images: the many spellings of a few licences, brought to the acronyms of the atlas's image service.

An acronym is ``CC BY-NC 4.0``, with the country of an adapted version behind it (``CC BY 3.0 AU``); ``CC0 1.0``;
``PUBLIC-DOMAIN``; or ``ALL-RIGHTS-RESERVED``. Where the text names no version (``CC-BY``, frequent on records), neither
does the acronym, for none may be guessed. Only a text that is wholly a licence is recognised: a sentence which mentions
one may as well deny it.
"""

import re

CC0, PUBLIC_DOMAIN, ALL_RIGHTS_RESERVED = "CC0 1.0", "PUBLIC-DOMAIN", "ALL-RIGHTS-RESERVED"

_VERSION = r"1\.0|2\.0|2\.1|2\.5|3\.0|4\.0"  # those that Creative Commons published
_CODE = r"by(?:-nc)?(?:-sa|-nd)?|by-nd-nc"  # version 1.0 put nd before nc
_COUNTRY = (  # those with an adapted text, by the names that creativecommons.org uses in addresses
    "ar|at|au|az|be|bg|br|ca|ch|cl|cn|co|cr|cz|de|dk|ec|ee|eg|es|fi|fr|ge|gr|gt|hk|hr|hu|ie|igo|il|in|it|jp|kr|lu|mk|"
    "mt|mx|my|nl|no|nz|pe|ph|pl|pr|pt|ro|rs|scotland|se|sg|si|th|tw|ua|ug|uk|us|ve|vn|za"
)
_PAGE = re.compile(
    rf"(?:https?:)?(?://)?(?:www\.)?creativecommons\.org/licen[sc]es/(?P<code>{_CODE})"
    rf"/(?P<version>{_VERSION})(?:/(?P<country>{_COUNTRY}))?(?:/(?:deed|legalcode)(?:[.-][a-z_-]+)?)?/?"
)
_ACRONYM = re.compile(
    rf"(?:cc )?(?P<code>{_CODE})(?: (?P<version>{_VERSION})(?: (?P<country>{_COUNTRY}))?| (?P<unversioned>au|nz))?"
)
_OTHER_PAGES = {
    "creativecommons.org/publicdomain/zero/1.0": CC0,
    "creativecommons.org/publicdomain/mark/1.0": PUBLIC_DOMAIN,
    "creativecommons.org/licenses/publicdomain": PUBLIC_DOMAIN,
    "wiki.creativecommons.org/wiki/public_domain": PUBLIC_DOMAIN,
    "en.wikipedia.org/wiki/all_rights_reserved": ALL_RIGHTS_RESERVED,
}
# After `_plain`: lower case, one space between words.
_OTHER_NAMES = {
    **dict.fromkeys(("cc0", "cc0 1.0", "cc zero", "cc zero 1.0"), CC0),
    **dict.fromkeys(("cc0 1.0 public domain dedication", "cc0 1.0 cc0 1.0 public domain dedication"), CC0),
    **dict.fromkeys(("public domain", "public domain mark", "public domain mark 1.0"), PUBLIC_DOMAIN),
    **dict.fromkeys(("all rights reserved", "copyright all rights reserved"), ALL_RIGHTS_RESERVED),
}
_WORDS = (
    (r"creative commons", "cc"),
    (r"attribution", "by"),
    (r"non ?commercial", "nc"),
    (r"share ?alike", "sa"),
    (r"no ?deriv(?:ative)?s?", "nd"),
    (r"universal|international|unported|generic|intl?|licen[sc]ed?|version|the|v(?=[1-4]\.)", ""),
    (r"australia|aus", "au"),
    (r"new zealand", "nz"),
)


def normalise(text: str) -> str:
    """The acronym of the licence that `text` names by acronym, full name, both or address; "" when it names none.

    Both "http://creativecommons.org/licenses/by-nc/4.0/" and "CC-BY-NC 4.0 (Int)" are "CC BY-NC 4.0".
    """
    lower = text.strip().lower()
    page = _PAGE.fullmatch(lower)
    if page:
        return _acronym(**page.groupdict())
    bare = re.sub(r"^(?:https?:)?(?://)?(?:www\.)?|(?:/(?:deed|legalcode)(?:[.-][a-z_-]+)?)?/?$", "", lower)
    if bare in _OTHER_PAGES:
        return _OTHER_PAGES[bare]
    words = _plain(lower)
    if words in _OTHER_NAMES:
        return _OTHER_NAMES[words]
    # "by 4.0" alone, or "attribution", may be a word of some other sentence; "Attribution-NoDerivatives 4.0" is not.
    named = words.startswith("cc ") or (lower.startswith("attribution") and re.search(_VERSION, words))
    hyphenated = re.sub(r" (?=(?:nc|sa|nd)\b)", "-", words)  # "cc by nc 4.0" becomes "cc by-nc 4.0"
    if named and (match := _ACRONYM.fullmatch(hyphenated)):
        return _acronym(**match.groupdict())
    # A name with its acronym behind it counts where both say the same.
    twice = re.fullmatch(r"([^()]+)\(([^()]+)\)", lower)
    name, acronym = map(normalise, twice.groups()) if twice else ("", "")
    return name if name == acronym else ""


def is_open(licence: str) -> bool:
    """Whether anyone may pass the image on, unaltered at least and for no money: public domain or Creative Commons.

    False when all rights are reserved, and when nothing is known.
    """
    return normalise(licence) not in ("", ALL_RIGHTS_RESERVED)


def url(licence: str) -> str:
    """The address of the licence's text; "" where there is none, as for a Creative Commons licence without version."""
    licence = normalise(licence)
    if licence == CC0:
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if licence == PUBLIC_DOMAIN:
        return "https://creativecommons.org/publicdomain/mark/1.0/"
    parts = licence.lower().split()
    if len(parts) < 3 or not parts[2][0].isdigit():
        return ""
    # Version 4.0 was never adapted to a country: what the atlas calls "CC BY 4.0 AU" is the international text.
    ends = parts[1:3] if parts[2] == "4.0" else parts[1:]
    return f"https://creativecommons.org/licenses/{'/'.join(ends)}/"


def _acronym(code: str, version: str | None, country: str | None, unversioned: str | None = None) -> str:
    code = code.replace("nd-nc", "nc-nd")
    return " ".join(part.upper() for part in ("cc", code, version, country, unversioned) if part)


def _plain(lower: str) -> str:
    words = " ".join(re.sub(r"[^a-z0-9.]+", " ", lower).split())
    for pattern, short in _WORDS:
        words = re.sub(rf"\b(?:{pattern})\b", short, words)
    words = re.sub(r"\b([1-4])(?=$| )", r"\1.0", words) if words.startswith(("cc ", "by")) else words
    return re.sub(r"^cc cc", "cc", " ".join(words.split()).rstrip("."))
