"""Invented insects and how they are drawn."""
