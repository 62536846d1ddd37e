"""From a collection to a set fit for training: proposals, a reviewer's decisions, and their replay."""
