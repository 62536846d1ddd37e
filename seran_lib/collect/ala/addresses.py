"""Where the services of the Atlas of Living Australia answer, and where it shows an image to people.

The image service answers ``{base}/image/{id}`` with a page about the image and ``{base}/image/{id}/{size}`` with the
picture itself (image-service, UrlMappings.groovy). The live atlas serves pages from another host than pictures.
"""

import re

OCCURRENCES = "https://api.ala.org.au/occurrences"
IMAGES = "https://api.ala.org.au/images"
NAMES = "https://api.ala.org.au/namematching"

_PAGES = "https://images.ala.org.au"
_PICTURE = re.compile(r"(.*)(/image/[^/]+)/(?:original|large|xlarge|thumbnail)")


def image_page(source_url: str) -> str:
    """The page that shows and credits the picture at `source_url`; its address without a query where none is known."""
    address = source_url.partition("?")[0]
    picture = _PICTURE.fullmatch(address)
    if not picture:
        return address
    base, page = picture.groups()
    return (_PAGES if base == IMAGES else base) + page
