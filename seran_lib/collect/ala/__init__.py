"""The Atlas of Living Australia: where it answers, what it is asked, what its replies mean."""
