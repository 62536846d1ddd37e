"""Names of files and folders that every system accepts, made from the names of species and the ids of images.

Two names that readers can tell apart never share a folder, on systems that ignore case or accents either. A name whose
every character survives is kept readable ("Apis mellifera" becomes ``apis_mellifera``, a lower-case id stays as it is);
any other gets a piece of its hash, after the double underscore that no readable name contains.
"""

import hashlib
import re
import unicodedata

LONGEST = 80  # characters; folder and file together stay far below the 260 that Windows allows for a whole path

_HASH = 10  # hexadecimal digits: names with one stem collide once in 2^40
# The two patterns have no result in common: the first always gives an underscore, the second never.
_BINOMIAL = re.compile(r"[A-Z][a-z0-9]*(?:-[a-z0-9]+)*(?: [a-z0-9]+(?:-[a-z0-9]+)*)+")
_PLAIN_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def slug(text: str) -> str:
    """A file name for `text` without extension: ASCII letters, digits, ``-`` and ``_``, lower case, 1 to 80 long.

    The same text always gives the same name. Different texts give different names, up to collisions of 40-bit hashes.
    """
    plain = text.lower().replace(" ", "_")
    keeps_all = _BINOMIAL.fullmatch(text) or _PLAIN_ID.fullmatch(text)
    if keeps_all and len(plain) <= LONGEST and plain not in _RESERVED:
        return plain
    letters = unicodedata.normalize("NFKD", text.replace("×", " x ")).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9-]+", "_", letters)[: LONGEST - _HASH - 2].strip("_-") or "unnamed"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{stem}__{digest[:_HASH]}"
