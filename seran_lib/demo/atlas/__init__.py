"""A local service that answers as the Atlas of Living Australia does, faults included."""
