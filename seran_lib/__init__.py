"""SERAN, the book: data/ builds the set, nets/ builds the networks, lab/ trains, measures and reports."""
