"""What a car's camera sees of the world."""
