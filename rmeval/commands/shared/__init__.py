"""What several verbs of the command line share: options, progress, files of lines."""
