"""How results are shown. Numbers come from results; nothing is computed here but layout."""
