"""Sound without a container: frames that follow each other, known by where the next one begins."""

MP3_RATES = {  # kbit/s by the header's index; layer III of MPEG 1, and of MPEG 2 and 2.5
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLING = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by MPEG version


def mp3(head: bytes) -> bool:
    """Whether two frames of MP3 follow each other."""
    length = mp3_frame(head[:4])
    return length > 0 and mp3_frame(head[length : length + 4]) > 0


def mp3_frame(header: bytes) -> int:
    """The length of the frame with this header in bytes; 0: there is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # eleven bits set, layer III
        return 0
    version, rate, sampling = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in SAMPLING or not 0 < rate < 15 or sampling == 3:
        return 0
    first = version == 3
    bits = MP3_RATES[first][rate] * 1_000
    return (144 if first else 72) * bits // SAMPLING[version][sampling] + (header[2] >> 1 & 1)


def aac(head: bytes) -> bool:
    """Whether two frames of AAC (ADTS) follow each other."""
    length = aac_frame(head[:7])
    return length > 0 and aac_frame(head[length : length + 7]) > 0


def aac_frame(header: bytes) -> int:
    """The length of the frame with this header in bytes; 0: there is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 0xF > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
