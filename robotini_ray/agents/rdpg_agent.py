"""Defines the recurrent DDPG agent (RDPG; Heess et al. 2015)."""

from __future__ import annotations

from tf_agents.agents.ddpg import ddpg_agent

from robotini_ray.agents.networks import RecurrentCriticNetwork
from robotini_ray.agents.window_training import WindowTraining


class RdpgAgent(WindowTraining, ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG, trained on windows."""

    def critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the only critic, as a list."""
        return [self._critic_network]

    def target_critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the critic's target network, as a list."""
        return [self._target_critic_network]
