"""Drives trained policies: the bot for races, the demo, films of laps, and the replay of recorded races."""
