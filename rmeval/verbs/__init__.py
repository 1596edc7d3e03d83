"""The verbs of the command line in Python, under the same names and with the same meanings."""
