"""Only public addresses are taken, however a private one is written or wrapped."""

import pytest

from adapters.addresses import is_global

PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::8.8.8.8", "2002:808:808::1"]
PRIVATE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "192.0.0.192", "192.168.1.1", "198.18.0.1", "198.51.100.7", "224.0.0.1", "239.1.2.3", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16", "192.88.99.1"),
    *(
        "::",
        "::1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001:db8::1", "2001::1", "2001:0:7f00:1::"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert is_global(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_every_other_address_is_refused(address: str) -> None:
    assert not is_global(address)
