"""What each command of `seran` does; its words are in `cli.py`."""
