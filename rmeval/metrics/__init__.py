"""What scores mean: numbers in, numbers out. No torch, no files."""
