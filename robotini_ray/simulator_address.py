"""Parses and formats the network address of a simulator."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from robotini_ray.errors import RobotiniError

DEFAULT_CAR_PORT = 11000
DEFAULT_LOG_PORT = 11001

_FORM = re.compile(r"(\[(?P<address>[^\[\]]+)\]|(?P<name>[^:\[\] ]+))(:(?P<car>[^:]*))?(:(?P<log>[^:]*))?")


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

        An IPv6 address is written in brackets, as in ``[::1]:11000``; ``host`` is without them.

        Raises:
            AddressError: The text does not have this form.
        """
        found = _FORM.fullmatch(text)
        ports = [port for port in (found["car"], found["log"]) if port is not None] if found else []
        host = (found["address"] or found["name"]) if found else ""
        if not found or not all(_is_port(port) for port in ports) or not _is_host(host, is_ipv6=bool(found["address"])):
            raise AddressError(
                f"simulator address is {text!r}; allowed: HOST[:CAR_PORT[:LOG_PORT]], for example 192.168.1.20:11000:11001, "
                "an IPv6 address in brackets"
            )
        return cls(host, *(int(port) for port in ports))

    def __str__(self) -> str:
        return f"{host_and_port(self.host, self.car_port)}:{self.log_port}"


def host_and_port(host: str, port: int) -> str:
    """Returns ``HOST:PORT``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclasses.dataclass(frozen=True)
class Site:
    """A simulator that cars drive on.

    Attributes:
        address: Its address.
        lockstep: Whether its world waits until every car has answered its frame.
    """

    address: SimulatorAddress
    lockstep: bool


def _is_host(text: str, is_ipv6: bool) -> bool:
    """Returns whether the text is an IPv6 address, or a host name or IPv4 address that can be looked up."""
    try:
        if is_ipv6:
            ipaddress.IPv6Address(text)
        else:
            text.encode("idna")  # which is what the socket does; ``192..168.1.2`` has an empty label
    except ValueError:
        return False
    return "\0" not in text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536
