"""Files, requests and visitors made to do harm, and the runs that set them on the program.

`make hostile` (files), `make attack` (requests) and `make load` (many visitors) run them in full; the tests run the
same code for a short while.
"""
