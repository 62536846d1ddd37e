"""SERAN, the book: data/ builds the set, nets/ builds the networks, lab/ trains, measures and reports."""

import warnings

# fastai scripts one of its layers when it is imported; nothing of ours does, and no reader can act on the warning
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
