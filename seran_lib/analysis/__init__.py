"""From the ledger to verdicts: protocol, statistics, claims and the tables that say how each came out."""
