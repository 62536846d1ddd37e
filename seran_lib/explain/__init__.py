"""What a trained network looks at: maps, regions, edits, measurements."""
