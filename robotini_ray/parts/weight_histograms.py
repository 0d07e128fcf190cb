"""The weights of an agent's networks as histograms."""

from __future__ import annotations

from typing import Any

from robotini_ray.run.histogram import Histogram

NETWORKS = {
    "actor": "_actor_network",
    "critic": "_critic_network",  # of DDPG and RDPG
    "critic_1": "_critic_network_1",
    "critic_2": "_critic_network_2",
}
"""TF-Agents' attributes; target networks follow these and are left out."""


def weight_histograms(agent: Any) -> dict[str, Histogram]:
    """Of every variable that is trained, by ``NETWORK/NUMBER_LAYER_KIND``, numbered in the network's order."""
    return {
        f"{network}/{number:02d}_{'_'.join(variable.name.removesuffix(':0').split('/')[-2:])}": Histogram.of(variable.numpy())
        for network, attribute in NETWORKS.items()
        if hasattr(agent, attribute)
        for number, variable in enumerate(getattr(agent, attribute).trainable_variables)
    }
