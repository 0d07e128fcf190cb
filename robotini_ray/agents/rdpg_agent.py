"""Recurrent DDPG (RDPG; Heess et al. 2015)."""

from __future__ import annotations

from tf_agents.agents.ddpg import ddpg_agent

from robotini_ray.agents.networks import RecurrentCriticNetwork
from robotini_ray.agents.window_training import WindowTraining


class RdpgAgent(WindowTraining, ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG, trained on windows."""

    def critics(self) -> list[RecurrentCriticNetwork]:
        """The one that there is."""
        return [self._critic_network]

    def target_critics(self) -> list[RecurrentCriticNetwork]:
        """Its target."""
        return [self._target_critic_network]
