"""Parses and formats the network address of a simulator."""

from __future__ import annotations

import dataclasses

from robotini_ray.errors import RobotiniError

DEFAULT_CAR_PORT = 11000
DEFAULT_LOG_PORT = 11001


class AddressError(RobotiniError):
    """Raised for text that is not a simulator address."""


@dataclasses.dataclass(frozen=True)
class SimulatorAddress:
    """The host of a simulator and its two ports, one for cars and one for spectators."""

    host: str
    car_port: int = DEFAULT_CAR_PORT
    log_port: int = DEFAULT_LOG_PORT

    @classmethod
    def parse(cls, text: str) -> SimulatorAddress:
        """Parses ``HOST[:CAR_PORT[:LOG_PORT]]``; the ports default to the simulator's own, 11000 and 11001.

        Raises:
            AddressError: The text does not have this form.
        """
        host, *ports = text.split(":")
        allowed = "allowed: HOST[:CAR_PORT[:LOG_PORT]], for example 192.168.1.20:11000:11001"
        if not host or " " in host or len(ports) > 2 or not all(_is_port(port) for port in ports):
            raise AddressError(f"simulator address is {text!r}; {allowed}")
        return cls(host, *(int(port) for port in ports))

    def __str__(self) -> str:
        return f"{self.host}:{self.car_port}:{self.log_port}"


@dataclasses.dataclass(frozen=True)
class Site:
    """A simulator that cars drive on.

    Attributes:
        address: Its address.
        lockstep: Whether its world waits until every car has answered its frame.
    """

    address: SimulatorAddress
    lockstep: bool


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536
