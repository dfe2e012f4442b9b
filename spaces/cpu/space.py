"""The entry on a CPU: the page as it is, with the model that the variable GLASSBOX_MODEL names."""

import sys

import app

if __name__ == "__main__":
    sys.exit(app.main([]))
