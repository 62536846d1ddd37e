"""Training: settings -> data -> learner -> checkpoints -> one row of the ledger."""
