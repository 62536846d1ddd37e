"""A trained network in a user's hands: `load` a bundle, `predict` pictures.

    bundle = load("weights/heliconius-seran_d")
    for answer in predict(bundle, ["wasp.jpg"], risk=0.05):
        print(answer.file, answer.answer, answer.level, answer.why)

This part needs onnxruntime, numpy and Pillow, no torch. What makes a bundle is `predict.export`.
"""

from seran_lib.predict.answer import Answer, predict
from seran_lib.predict.bundle import Bundle, load

__all__ = ["Answer", "Bundle", "load", "predict"]
