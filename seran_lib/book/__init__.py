"""What makes the book: notebooks run and rendered, figures, generated parts of README and results."""
