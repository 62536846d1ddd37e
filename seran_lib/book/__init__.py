"""What makes the book: notebooks run and rendered, figures, generated parts of README and results."""

import sys

# Where this package is there, jsonschema, which nbformat needs, builds a grammar of web addresses as it is imported:
# 1.5 seconds for every notebook that runs, and no notebook is asked for them. None says that the package is not there.
sys.modules.setdefault("rfc3987_syntax", None)
