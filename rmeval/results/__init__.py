"""What a run leaves behind: files, and what is made of several of them."""
