"""The agent's environment: observations, actions, rewards and episodes."""
