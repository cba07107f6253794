"""The message table of a Windows program, read from its file as the event viewer does."""
import struct

MESSAGE_TABLE = 11  # RT_MESSAGETABLE


def message_table(path) -> dict:
    """Texts by their 32-bit identifiers."""
    image = path.read_bytes()
    resources, base, raw = _section(image, b".rsrc")
    texts = {}
    for kind, where in _entries(image, raw, 0):
        if kind == MESSAGE_TABLE:
            for _name, names in _entries(image, raw, where & 0x7FFFFFFF):
                for _language, leaf in _entries(image, raw, names & 0x7FFFFFFF):
                    address, size = struct.unpack_from("<II", image, raw + leaf)
                    texts.update(_texts(image[address - base + raw:address - base + raw + size]))
    assert resources, f"{path} has no resources"
    return texts


def _section(image, wanted):
    header = struct.unpack_from("<I", image, 0x3C)[0]
    count, optional = struct.unpack_from("<H", image, header + 6)[0], struct.unpack_from("<H", image, header + 20)[0]
    for i in range(count):
        at = header + 24 + optional + 40 * i
        name, _size, base, _raw_size, raw = struct.unpack_from("<8sIIII", image, at)
        if name.rstrip(b"\0") == wanted:
            return True, base, raw
    return False, 0, 0


def _entries(image, raw, folder):
    named, numbered = struct.unpack_from("<HH", image, raw + folder + 12)
    return [struct.unpack_from("<II", image, raw + folder + 16 + 8 * i) for i in range(named + numbered)]


def _texts(table) -> dict:
    texts = {}
    for i in range(struct.unpack_from("<I", table)[0]):
        low, high, at = struct.unpack_from("<III", table, 4 + 12 * i)
        for identifier in range(low, high + 1):
            length, wide = struct.unpack_from("<HH", table, at)
            texts[identifier] = table[at + 4:at + length].decode("utf-16-le" if wide else "latin-1").rstrip("\0\r\n")
            at += length
    return texts
