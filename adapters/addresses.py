"""Which addresses a request may go to that somebody else chose: public ones of the Internet, whatever they wrap."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

NAT64 = IPv6Network("64:ff9b::/96")
UNICAST = IPv6Network("2000::/3")  # all that is given out
# Counted as public by the registries, and none: those of protocols, and of clouds' own services.
NEVER = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),
)


def is_global(text: str) -> bool:
    """Whether an address, as written, is a public one; version 4 inside version 6 counts as what it is."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        return is_public(embedded(address) or address)
    return is_public(address)


def embedded(address: IPv6Address) -> IPv4Address | None:
    """The address of version 4 that packets to this one reach: mapped, compatible, by NAT64, 6to4 or Teredo."""
    if address in NAT64 or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether everybody on the Internet means the same host by it."""
    if isinstance(address, IPv6Address):
        return address in UNICAST and address.is_global
    return address.is_global and not address.is_multicast and not any(address in network for network in NEVER)
