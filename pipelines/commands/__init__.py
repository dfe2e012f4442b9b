"""The commands of the command line: what they take, do and print."""
