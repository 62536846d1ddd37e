"""The data room: photographs become training batches in the order collect -> curate -> split -> pack."""
