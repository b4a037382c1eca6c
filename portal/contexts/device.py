"""Signing a device in: the code it shows, and the end."""

from dataclasses import dataclass

from portal.contexts import Sample


@dataclass(frozen=True)
class DeviceCode:
    """device/code.html: type the code, or compare it if it came with the link."""

    code: str
    filled: bool  # the code came with the address: from a picture on the device, or from somebody who sent it
    problem: str  # "" | refused | throttled
    seconds: int


@dataclass(frozen=True)
class DeviceDone:
    """device/done.html."""

    agreed: bool
    device: bool  # else a service's counter asked


def samples() -> list[Sample]:
    """Empty, filled by the picture, wrong, too often; the two ends."""
    return [
        Sample("device/code.html", "empty", DeviceCode("", False, "", 0), viewer="resident", path="/device"),
        Sample("device/code.html", "filled", DeviceCode("WDJB-MJHT", True, "", 0), viewer="resident", path="/device"),
        Sample("device/code.html", "wrong", DeviceCode("WDJBMJH", False, "refused", 0), viewer="resident"),
        Sample("device/code.html", "wait", DeviceCode("", False, "throttled", 60), viewer="resident"),
        Sample("device/done.html", "agreed", DeviceDone(True, True), viewer="resident", path="/device/done"),
        Sample("device/done.html", "refused", DeviceDone(False, True), viewer="resident", path="/device/done"),
        Sample("device/done.html", "counter", DeviceDone(True, False), viewer="resident", path="/device/done"),
        Sample("device/done.html", "counter-refused", DeviceDone(False, False), viewer="resident"),
    ]
