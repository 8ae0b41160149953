"""The part of a file that an output takes, cut where the file is opened, for programs that compute all of it."""
