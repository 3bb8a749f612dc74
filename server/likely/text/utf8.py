"""Where characters begin in UTF-8."""


def is_inside(data: bytes, offset: int) -> bool:
    """Whether byte `offset` continues a character; the end of the text does not."""
    return offset < len(data) and data[offset] & 0xC0 == 0x80
