"""Makes ``python -m robotini_ray`` the same as the command ``robotini``."""

from __future__ import annotations

from robotini_ray.launch import command_line

if __name__ == "__main__":
    command_line()
