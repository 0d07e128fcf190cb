"""What the measurements are made with."""
