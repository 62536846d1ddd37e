"""What each command of `seran` does; their words are in `words`, the door is `cli`."""
