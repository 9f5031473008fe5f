"""A prediction store over HTTP: an interface for programs, and the page for people. It only reads."""
