"""Folders of weights: read, adapted, refused by what they are, converted and merged."""
