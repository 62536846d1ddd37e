"""Every figure of the book, one module a subject, in one style."""
