"""Runs one MongoDB command with the standard library alone: mongo_command.py PORT DATABASE JSON.

Prints the reply as JSON; ends with 1 when the server refused the command, 2 when it did not answer.
Enough of BSON for `hello`, `replSetInitiate` and small looks at data (`find`, `count`); no login, no TLS.
"""
import json
import socket
import struct
import sys


def encode(document):
    body = b""
    for key, value in document.items():
        name = key.encode() + b"\0"
        if isinstance(value, bool):
            body += b"\x08" + name + bytes([value])
        elif isinstance(value, int):
            small = -(2**31) <= value < 2**31
            body += (b"\x10" if small else b"\x12") + name + struct.pack("<i" if small else "<q", value)
        elif isinstance(value, float):
            body += b"\x01" + name + struct.pack("<d", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            body += b"\x02" + name + struct.pack("<i", len(text)) + text
        elif value is None:
            body += b"\x0a" + name
        elif isinstance(value, dict):
            body += b"\x03" + name + encode(value)
        elif isinstance(value, list):
            body += b"\x04" + name + encode({str(i): item for i, item in enumerate(value)})
        else:
            raise TypeError(value)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def decode(data, at=0, as_list=False):
    end = at + struct.unpack_from("<i", data, at)[0] - 1
    at += 4
    result = {}
    while at < end:
        kind = data[at]
        stop = data.index(0, at + 1)
        key = data[at + 1 : stop].decode()
        result[key], at = decode_value(kind, data, stop + 1)
    return list(result.values()) if as_list else result


def decode_value(kind, data, at):
    if kind in (1, 9, 16, 18):
        form = {1: "<d", 9: "<q", 16: "<i", 18: "<q"}[kind]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if kind == 17:
        return list(reversed(struct.unpack_from("<II", data, at))), at + 8
    if kind == 8:
        return bool(data[at]), at + 1
    if kind == 7:
        return data[at : at + 12].hex(), at + 12
    if kind == 19:
        return data[at : at + 16].hex(), at + 16
    if kind in (6, 10, 127, 255):
        return None, at
    length = struct.unpack_from("<i", data, at)[0]
    if kind in (3, 4):
        return decode(data, at, kind == 4), at + length
    if kind == 2:
        return data[at + 4 : at + 3 + length].decode("utf-8", "replace"), at + 4 + length
    if kind == 5:
        return data[at + 5 : at + 5 + length].hex(), at + 5 + length
    raise ValueError(f"BSON type {kind}")


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError("connection closed")
        data += piece
    return data


def run(port, database, command):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        body = struct.pack("<I", 0) + b"\0" + encode({**command, "$db": database})
        connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
        (length,) = struct.unpack("<i", read_exactly(connection, 4))
        return decode(read_exactly(connection, length - 4), 12 + 5)


if __name__ == "__main__":
    try:
        reply = run(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
    except (OSError, EOFError) as error:
        print(json.dumps({"ok": 0, "errmsg": str(error)}))
        sys.exit(2)
    print(json.dumps(reply))
    sys.exit(0 if reply.get("ok") == 1 else 1)
