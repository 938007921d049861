"""The items of the workers: each says whose it is, and what must be in it. Those of worker.cc and worker.cjs are the same."""


def item_of(stream, number):
    text = f"{stream} {number} {chr(97 + number % 26) * (number * 37 % 200)}"
    return text if number % 2 else text.encode()


def whole(item):
    """Its stream and number. @raise ValueError when it is torn"""
    text = item if isinstance(item, str) else item.decode(errors="replace")
    stream, _, rest = text.partition(" ")
    number = rest.partition(" ")[0]
    wanted = item_of(stream, int(number)) if number.isdecimal() else None
    if text != (wanted.decode() if isinstance(wanted, bytes) else wanted):
        raise ValueError(f"torn: {text}")
    return stream, int(number)
