/**
 * The sums of aggregate.ts in Python: `partial_of(records, group_field, value_field)`. Numbers are read and rounded as JavaScript does it, so
 * that the outcomes are equal to the last digit.
 */
export const PYTHON_SUMS = String.raw`
import math
import re
from decimal import Decimal


def text_of(value):
    """String(value ?? '') of JavaScript."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return ",".join(text_of(entry) for entry in value)
    if not isinstance(value, float):
        return "[object Object]"
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    exponent = Decimal(repr(value)).adjusted()
    if -7 < exponent < 21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    sign, digits, _ = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, digits)).rstrip("0")
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{'-' if sign else ''}{digits[0]}{fraction}e{'+' if exponent > 0 else ''}{exponent}"


decimal = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
radix = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")


def number_of(value):
    """A finite number of JavaScript, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip("\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff")
        if radix.fullmatch(value):
            value = int(value, 0)
        elif decimal.fullmatch(value):
            value = float(value)
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number * 1e6) else None


def round_as_javascript(number):
    least = math.floor(number)
    return least + 1 if number - least >= 0.5 else least


def partial_of(records, group_field, value_field):
    groups = {}
    for record in records:
        group = groups.setdefault(text_of(record.get(group_field)), [0, 0, 0, math.inf, -math.inf])
        group[0] += 1
        number = None if value_field is None else number_of(record.get(value_field))
        if number is None:
            continue
        group[1] += 1
        group[2] += round_as_javascript(number * 1e6)
        group[3] = min(group[3], number)
        group[4] = max(group[4], number)
    return [[key, n, values, str(total), least, most] for key, (n, values, total, least, most) in groups.items()]
`;
