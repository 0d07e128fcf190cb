"""Contains the tracks, policies and recipes that come with the package, and finds them by name."""
