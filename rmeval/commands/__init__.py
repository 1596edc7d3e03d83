"""One file per verb of the command line. Each has `run(parser, arguments) -> exit status`."""
