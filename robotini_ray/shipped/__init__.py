"""What comes with the package: tracks, policies and recipes, by name."""
