"""Drawn insects: a data set and an atlas service that need no network, with every truth known."""
