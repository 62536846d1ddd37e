"""The lab: trains, measures and explains what the data room and the nets room provide."""
