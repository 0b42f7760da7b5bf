#!/usr/bin/env python3
"""Checks an export of an MPIM log: python3 check.py DIR PUBKEY. It needs nothing but Python."""

import base64
import decimal
import hashlib
import json
import os
import sys

# Ed25519, as in RFC 8032, section 6. Slow, and called once.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(n, point):
    result = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        raise ValueError("no point of the curve")
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * ROOT % P
    if (x * x - x2) % P != 0 or x == 0 and sign:
        raise ValueError("no point of the curve")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def verifies(key, message, signature):
    base_y = 4 * pow(5, P - 2, P) % P
    base = point_of(base_y.to_bytes(32, "little"))
    a, r = point_of(key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = multiply(s, base), add(r, multiply(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def open_head(note, public):
    """Returns the text of a note that the key has signed."""
    name, key_hash, key64 = public.split("+", 2)
    key = base64.b64decode(key64, validate=True)
    if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_hash or key[0] != 1 or len(key) != 33:
        raise ValueError("the public key is no Ed25519 key of a note")
    text, signatures = note.rsplit(b"\n\n", 1)
    text += b"\n"
    for line in signatures.decode().splitlines():
        dash, signer, signature64 = line.split(" ")
        signature = base64.b64decode(signature64, validate=True)
        if dash == "\u2014" and signer == name and signature[:4].hex() == key_hash and len(signature) == 68:
            if verifies(key[1:], text, signature[4:]):
                return text.decode()
            raise ValueError("the signature of the head is wrong")
    raise ValueError("the head is not signed with this key")


def trees_of(text):
    """Returns the size and root of each partition's tree."""
    lines = text.splitlines()
    if lines[0] != "mpim audit head v1":
        raise ValueError("this is no head of an mpim log")
    trees = {}
    for line in lines[1:]:
        fields = line.split(" ")
        if len(fields) == 3 and fields[0].isdigit():
            trees[int(fields[0])] = (int(fields[1]), base64.b64decode(fields[2]))
    return trees


def leaf_hash(partition, sequence, uuid, metadata, payload):
    leaf = b"\x00"
    for field in (str(partition).encode(), str(sequence).encode(), uuid, metadata, payload):
        leaf += len(field).to_bytes(4, "big") + field
    return hashlib.sha256(leaf).digest()


def root_of(leaf, index, size, path):
    """Returns the root that a leaf and its siblings come to (RFC 9162, section 2.1.3.2)."""
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            result = hashlib.sha256(b"\x01" + sibling + result).digest()
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + sibling).digest()
        node, last = node >> 1, last >> 1
    return result if last == 0 else None


# Members of data that an export leaves out.
SECRETS = ("password_hash", "refresh_hash")


def strings_of(metadata):
    """Returns what a MessagePack map of strings holds."""
    if metadata[0] & 0xF0 == 0x80:
        count, rest = metadata[0] & 0x0F, metadata[1:]
    elif metadata[0] == 0xDE:
        count, rest = int.from_bytes(metadata[1:3], "big"), metadata[3:]
    else:
        raise ValueError("the metadata are no map")
    strings = []
    for _ in range(2 * count):
        width = {0xD9: 1, 0xC4: 1, 0xDA: 2, 0xC5: 2, 0xDB: 4, 0xC6: 4}.get(rest[0], 0)
        if width == 0 and rest[0] & 0xE0 != 0xA0:
            raise ValueError("the metadata hold something else than strings")
        size = int.from_bytes(rest[1 : 1 + width], "big") if width else rest[0] & 0x1F
        if len(rest) < 1 + width + size:
            raise ValueError("the metadata end early")
        strings.append(rest[1 + width : 1 + width + size].decode())
        rest = rest[1 + width + size :]
    return dict(zip(strings[::2], strings[1::2]))


def once(members):
    """Makes an object of members that each come once: of two, a reader could see the other."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member comes twice")
    return found


def check(directory, public):
    with open(os.path.join(directory, "head.txt"), "rb") as file:
        text = open_head(file.read(), public)
    trees, count, unread, latest = trees_of(text), 0, 0, {}
    with open(os.path.join(directory, "events.jsonl"), encoding="utf-8") as file:
        for line in file:
            count += 1
            try:
                event = json.loads(line, object_pairs_hook=once, parse_float=decimal.Decimal)
                partition, sequence = event["partition"], event["partition_seq"]
                check_event(event, partition, sequence, trees)
                if sequence <= latest.get(partition, 0):
                    raise ValueError("event %d:%d comes again, or behind a later one" % (partition, sequence))
                latest[partition] = sequence
                unread += "broken" in event
            except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as problem:
                raise ValueError("line %d is no line of an export: %r" % (count, problem)) from problem
            except ValueError as problem:
                raise ValueError("line %d: %s" % (count, problem)) from problem
    return count, unread, text


def check_event(event, partition, sequence, trees):
    uuid, metadata, payload = (base64.b64decode(event[name], validate=True) for name in ("uuid", "metadata", "payload"))
    size, root = trees[partition]
    path = [base64.b64decode(h, validate=True) for h in event["hashes"]]
    leaf = leaf_hash(partition, sequence, uuid, metadata, payload)
    if not 1 <= sequence <= size or root_of(leaf, sequence - 1, size, path) != root:
        raise ValueError("this is not event %d:%d as it was signed" % (partition, sequence))
    said = {name: event[name] for name in event if name not in ("uuid", "metadata", "payload", "hashes")}
    if event["position"] != "%d:%d" % (partition, sequence) or not says(said, uuid, metadata, payload):
        raise ValueError("the line says something else than its bytes do")


def says(said, uuid, metadata, payload):
    """Whether the readable members of a line are what its bytes say, and no others."""
    shown = said.pop("data")
    for name in ("position", "partition", "partition_seq"):
        del said[name]
    if "broken" in said:  # it cannot be decoded, and nothing is said of it
        del said["broken"], said["event"]
        return shown == {} and not any(said.values())
    names, payload = strings_of(metadata), json.loads(payload, parse_float=decimal.Decimal)
    data, wanted = payload["data"], {"event": uuid.decode(), "type": names["type"], "version": int(names["version"])}
    wanted.update(at=payload["at"], actor=payload["actor"])
    if "aggregate" in names:
        wanted["aggregate"] = names["aggregate"]
        kind, name = names["aggregate"].split(":", 1)
        wanted.update({} if kind == "account" else {"conversation": name})
    wanted.update({"seq": int(names["seq"])} if int(names.get("seq", 0)) else {})
    wanted.update({"trace": names["traceparent"]} if names.get("traceparent") else {})
    return same(said, wanted) and same(shown, {name: data[name] for name in data if name.lower() not in SECRETS or name in shown})


def same(one, other):
    """Whether two values are the same in JSON: to Python 1, 1.0 and True are equal."""
    return one == other and json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        events, unread, head = check(sys.argv[1], sys.argv[2])
    except (ValueError, KeyError, OSError, TypeError, IndexError) as problem:
        sys.exit("not proved: %s" % problem)
    if unread > 0:
        print("%d of them are marked as broken: their bytes are proved, and only mpim can tell that they cannot be decoded" % unread, file=sys.stderr)
    print("ok: %d events are in the log, as this head says:\n%s" % (events, head), end="")
