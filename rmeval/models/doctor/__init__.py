"""Is a loaded model what its files say? One file per kind of check."""
