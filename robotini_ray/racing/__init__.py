"""A policy on race day: bot, demo, films of laps, recorded races."""
