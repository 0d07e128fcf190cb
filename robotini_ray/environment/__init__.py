"""What the agent sees, does and is paid for: observations, rewards and the environment made of them."""
