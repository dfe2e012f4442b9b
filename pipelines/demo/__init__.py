"""The small model that ships with the program: the scenes it learns from, its training and its measurement."""
