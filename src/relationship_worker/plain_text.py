"""Plain text only on loopback: whoever reads the wire beyond it reads orders, and passwords."""

import ipaddress


def is_loopback(host: str) -> bool:
    """True where what goes to this host stays on this machine. Names other than localhost are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
