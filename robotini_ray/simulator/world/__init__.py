"""What moves: cars, walls, laps and the race around them."""
