"""Files and requests made to do harm, and the runs that feed them to the program."""
