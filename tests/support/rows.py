"""Rows of the ledger of which a test names only what it is about."""

from dataclasses import fields

from seran_lib.train.ledger import Row


def some_row(**values):
    """A row with empty cells where no value is given."""
    return Row(**dict.fromkeys(field.name for field in fields(Row)) | values)
