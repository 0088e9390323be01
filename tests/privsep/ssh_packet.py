"""What the native tests' clients send."""
from paramiko.message import Message


def packet(kind, *fields):
    """Of SSH: its number (or the byte), then truths, numbers of 32 bits and strings."""
    message = Message()
    message.add_byte(bytes([kind]) if isinstance(kind, int) else kind)
    for field in fields:
        if isinstance(field, bool):
            message.add_boolean(field)
        elif isinstance(field, int):
            message.add_int(field)
        else:
            message.add_string(field)
    return message
