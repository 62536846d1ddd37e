"""SERAN, the book: a library in rooms, from photographs to verdicts on the paper's claims."""

import warnings

# fastai scripts one of its layers when it is imported; nothing of ours does, and no reader can act on the warning
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
