"""Collecting a data set: plan -> fetch -> verify, from an atlas or Zenodo, with every picture credited."""
