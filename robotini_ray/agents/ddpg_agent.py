"""Defines a DDPG agent with the objective that all actors here have."""

from __future__ import annotations

from typing import Any

from tf_agents.agents.ddpg import ddpg_agent

from robotini_ray.agents.actor_objective import TransitionObjective


class MeanValueDdpgAgent(TransitionObjective, ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG (Lillicrap et al. 2015) with a readable actor loss.

    The actor loss is that of every other agent here (see ``ActorObjective``). TF-Agents reports the mean square of the value's
    derivative with respect to the action instead; its gradient is that of the value.
    """

    def judge(self) -> Any:
        """Returns the only critic."""
        return self._critic_network
