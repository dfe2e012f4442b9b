"""The same question about many files: a line of JSON for each, written as it comes, and a run goes on after a kill."""
