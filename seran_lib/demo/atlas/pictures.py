"""The pictures of the demo atlas: drawn when first asked for, and what the image service knows about each.

A picture has the same bytes whatever was asked for before it. It is kept below ``cache/atlas``, as several processes
ask for the same ones: chapters 01 and 02, and every `seran data` that collects the demo.
"""

import contextlib
import functools
import hashlib
import io
import pickle
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
from PIL import Image, ImageOps

from seran_lib import paths
from seran_lib.data.pictures import Box
from seran_lib.demo.atlas.records import ADDRESS, IMAGES, LICENCES, MUSEUM, RESOURCES, Picture, Records
from seran_lib.demo.insects.picture import Drawing, draw_empty, draw_insect
from seran_lib.files import replacing

LONGEST = {"original": 0, "large": 650, "thumbnail": 300}  # longest side in pixels; 0: as uploaded
TINY = 20  # pixels of the shorter side
_QUALITY = {"recompressed": 40, "smaller": 82, "mirrored": 86}


@dataclass(frozen=True)
class File:
    """An uploaded file: its bytes, None if it is gone; width and height in pixels as the service recorded them.

    `mask` is where the insect is, uint8 (height, width), None if nothing can be decoded.
    """

    content: bytes | None
    mime: str
    width: int
    height: int
    mask: np.ndarray | None = None
    label_box: Box | None = None
    ruler_box: Box | None = None


@functools.cache
def _version() -> str:
    """Another one whenever that changes which decides how a picture looks: this room, NumPy, Pillow."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
    return f"{hashlib.sha256(code).hexdigest()} {np.__version__} {PIL.__version__}"


def _resized(drawing: Drawing, scale: float) -> Drawing:
    size = (round(drawing.image.width * scale), round(drawing.image.height * scale))
    mask = Image.fromarray(drawing.mask * 255).resize(size, Image.Resampling.BOX)
    return Drawing(drawing.image.resize(size, Image.Resampling.LANCZOS), (np.asarray(mask) >= 128).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def placeholder() -> bytes:
    """The small PNG that the service sends with status 404."""
    return encode(Image.new("RGB", (60, 60), (224, 224, 224)), "PNG")


class Pictures:
    """The files behind the pictures of `records`, with a shorter side of `side` pixels. Safe to use from threads."""

    def __init__(self, records: Records, side: int, seed: int) -> None:
        self._records, self._side, self._seed = records, side, seed
        self._files: dict[str, File] = {}
        self._resized: dict[tuple[str, str], bytes] = {}
        self._lock = threading.RLock()

    def file(self, image_id: str) -> File:
        """The file uploaded for an id. Raises KeyError for an id that does not exist."""
        picture = self._records.pictures[image_id]
        with self._lock:
            if image_id not in self._files:
                same = picture.change == "same"
                self._files[image_id] = self.file(picture.duplicate_of) if same else self._kept(picture)
            return self._files[image_id]

    def _kept(self, picture: Picture) -> File:
        """The file as it was drawn before, perhaps by another process, or drawn now."""
        key = hashlib.sha256(f"{_version()} {self._side} {self._seed} {picture}".encode()).hexdigest()
        path = paths.cache() / "atlas" / f"{key}.pickle"
        if path.exists():
            return pickle.loads(path.read_bytes())
        drawn = self._draw(picture)
        with contextlib.suppress(OSError), replacing(path) as file:  # what cannot be kept is drawn again
            pickle.dump(drawn, file)
        return drawn

    def content(self, image_id: str, size: str) -> bytes | None:
        """The bytes served for an id in one of the sizes of `LONGEST`; None if the file is gone."""
        file = self.file(image_id)
        if size == "original" or file.mask is None:
            return file.content
        with self._lock:
            if (image_id, size) not in self._resized:
                image = Image.open(io.BytesIO(file.content)).convert("RGB")
                image.thumbnail((LONGEST[size], LONGEST[size]))  # never enlarges
                self._resized[image_id, size] = encode(image, quality=85)
            return self._resized[image_id, size]

    def mask(self, image_id: str) -> np.ndarray:
        """Where the insect is in the original, uint8 (height, width). Raises ValueError if nothing can be decoded."""
        mask = self.file(image_id).mask
        if mask is None:
            raise ValueError(f"{image_id} is {self._records.pictures[image_id].kind}: there is no picture")
        return mask

    def other(self, image_id: str) -> bytes:
        """A valid picture that is not the one of `image_id`."""
        return encode(draw_empty(np.random.default_rng([self._seed, 15, len(image_id)]), side=self._side).image)

    def truth(self) -> pd.DataFrame:
        rows = []
        for picture in self._records.pictures.values():
            file = self.file(picture.image_id)
            height, width = (0, 0) if file.mask is None else file.mask.shape
            rows.append(
                {
                    "image_id": picture.image_id,
                    "label": picture.label,
                    "true_species": picture.subject.name if picture.subject else "",
                    "kind": picture.kind,
                    "also_labels": picture.also_labels,
                    "duplicate_of": picture.duplicate_of,
                    "cluster": picture.cluster,
                    "label_box": _text(file.label_box),
                    "ruler_box": _text(file.ruler_box),
                    "width": width,
                    "height": height,
                }
            )
        return pd.DataFrame(rows).set_index("image_id")

    # ---- what the image service knows about them --------------------------------------------------------------------

    def _listed(self, image_id: str) -> Picture | None:
        picture = self._records.pictures.get(image_id)
        return picture if picture and picture.listed else None

    def info(self, image_id: str) -> dict | None:
        """`/ws/image/{id}` (ImageService.addImageInfoToMap); None for an id that the service does not know."""
        picture = self._listed(image_id)
        if picture is None:
            return None
        file, page = self.file(image_id), LICENCES[picture.licence][0]
        known = picture.licence_text.startswith("http") or picture.licence_text == picture.licence != ""
        blank = "rights mmPerPixel description type audience references publisher contributor".split()
        licence = {"acronym": picture.licence, "name": picture.licence, "url": page, "imageUrl": ""}
        return {
            "success": True,
            "imageIdentifier": image_id,
            **dict.fromkeys(blank, ""),
            "mimeType": file.mime,
            "originalFileName": f"{ADDRESS}/uploads/{picture.resource}/{image_id[:8]}.{file.mime[6:]}",
            "sizeInBytes": self._bytes(picture),
            # The one-image form fills a blank holder from the data resource, the list form does not.
            "rightsHolder": picture.rights_holder or (RESOURCES[MUSEUM] if picture.resource == MUSEUM else ""),
            "dateUploaded": f"{picture.uploaded:%Y-%m-%d %H:%M:%S}",
            "dateTaken": f"{picture.taken:%Y-%m-%d %H:%M:%S}" if picture.taken else "",
            "imageUrl": f"{IMAGES}/image/{image_id}/original",
            "tileUrlPattern": f"{IMAGES}/image/{image_id}/tms/{{z}}/{{x}}/{{y}}.png",
            "height": file.height,
            "width": file.width,
            "tileZoomLevels": 1,
            "title": picture.label,
            "created": f"{picture.taken:%Y-%m-%d}" if picture.taken else "",
            "source": RESOURCES[picture.resource],
            "creator": picture.creator,
            "license": picture.licence_text,
            "recognisedLicence": licence if known else None,
            "dataResourceUid": picture.resource,
            "occurrenceID": picture.occurrence,
        }

    def _bytes(self, picture: Picture) -> int:
        return len(self.file(picture.image_id).content or b"") or 54321  # of a lost file, what was noted once

    def info_list(self, image_ids: list[str]) -> dict:
        """`/ws/getImageInfoForIdList`, which has other keys (WebServiceController.getImageInfoForIdList)."""
        results, invalid = {}, []
        for image_id in image_ids:
            picture = self._listed(image_id)
            if picture is None:
                invalid.append(image_id)
                continue
            file, address = self.file(image_id), f"{IMAGES}/image/proxyImage"
            results[image_id] = {
                "imageId": image_id,
                "height": file.height,
                "width": file.width,
                "tileZoomLevels": 1,
                "thumbHeight": min(file.height, 300),
                "thumbWidth": min(file.width, 300),
                "filesize": self._bytes(picture),
                "mimetype": file.mime,
                "creator": picture.creator,
                "title": picture.label,
                "description": "",
                "rights": "",
                "rightsHolder": picture.rights_holder,
                "license": picture.licence_text,
                "imageUrl": f"{address}?imageId={image_id}",
                "thumbUrl": f"{address}Thumbnail?imageId={image_id}",
                "largeThumbUrl": f"{address}ThumbnailLarge?imageId={image_id}",
                "squareThumbUrl": f"{IMAGES}/image/{image_id}/square",
                "tilesUrlPattern": f"{IMAGES}/image/{image_id}/tms/{{z}}/{{x}}/{{y}}.png",
            }
        return {"success": True, "results": results, "invalidImageIds": invalid}

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def _draw(self, picture: Picture) -> File:
        rng = np.random.default_rng([self._seed, 12, picture.animal])
        if picture.subject is None:
            drawing = draw_empty(rng, side=self._side)
        else:
            view = "sheet" if picture.kind == "sheet" else "field"
            drawing = draw_insect(picture.subject.drawn, rng, side=self._side, view=view, burst=picture.burst)
        if picture.kind == "tiny":
            drawing = _resized(drawing, TINY / self._side)
        elif picture.change == "smaller":
            drawing = _resized(drawing, 0.75)
        elif picture.change == "mirrored":
            drawing = replace(drawing, image=ImageOps.mirror(drawing.image), mask=drawing.mask[:, ::-1].copy())
        content = encode(drawing.image, "PNG" if picture.png else "JPEG", _QUALITY.get(picture.change, 90))
        if picture.kind == "missing":
            return File(None, "image/jpeg", *drawing.image.size)
        if picture.kind == "broken":  # cut short already when uploaded, or noise behind the first bytes of a JPEG
            noise = np.random.default_rng([self._seed, 14, picture.animal]).bytes(len(content))
            broken = content[: len(content) // 3] if picture.change == "cut" else content[:4] + noise
            return File(broken, "image/jpeg", *drawing.image.size)
        mime, truth = "image/png" if picture.png else "image/jpeg", (drawing.mask, drawing.label_box, drawing.ruler_box)
        return File(content, mime, *drawing.image.size, *truth)


def _text(box: Box | None) -> str:
    return " ".join(map(str, box or ()))
