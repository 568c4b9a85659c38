"""A serial port: an RS-485 or RS-232 line of this machine, by the terminal interface of the operating system."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import Callable

from edge.links import Down, Link, LinkDownError, LinkLostError
from gridcore.clock import monotonic_ms

BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400)
PARITIES = ("none", "even", "odd")
SILENCE_MS_MIN = 1.75
"""Above 19,200 baud the silence between two frames does not shrink further (Modbus over serial line 1.02, 2.5.1.1)."""
_SPEED = {baud: getattr(termios, f"B{baud}") for baud in BAUDS}
_PARITY = {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}
_DATA_BITS = 8


class SerialLink(Link):
    """Bytes over the serial port ``path`` with 8 data bits."""

    sheds_when_reopened = False

    def __init__(
        self,
        path: str,
        *,
        baud: int,
        parity: str,
        stop_bits: int,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        super().__init__(path, clock_ms)
        self._baud, self._parity, self._stop_bits = baud, parity, stop_bits
        self._fd = -1
        bits = 1 + _DATA_BITS + (parity != "none") + stop_bits
        self._byte_ms = bits * 1000.0 / baud
        self.silence_ms = max(SILENCE_MS_MIN, 3.5 * self._byte_ms)

    async def open(self) -> None:
        """See ``Link``. Another program that has locked the port is named."""
        fd = -1
        try:
            fd = os.open(self.place, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._set_up(fd)
        except (OSError, termios.error) as error:
            if fd >= 0:
                os.close(fd)
            raise LinkDownError(f"{self.place}: {_reason_of(error)}", _down_of(error)) from None
        self._fd = fd
        self._opened()
        asyncio.get_running_loop().add_reader(fd, self._read)

    async def _write(self, data: bytes) -> None:
        """See ``Link``. ``last_traffic_ms`` becomes the moment at which the last byte has left."""
        start_ms, size = self._clock_ms(), len(data)
        while data:
            if self._fd < 0:
                raise LinkLostError(f"{self.place}: the port was lost")
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await asyncio.sleep(self.wire_ms(len(data)) / 1000.0)
            except OSError:
                self.close()
                raise LinkLostError(f"{self.place}: the port was lost") from None
        self.last_traffic_ms = start_ms + self.wire_ms(size)

    def close(self) -> None:
        """See ``Link``."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
        self._ended()

    def wire_ms(self, count: int) -> float:
        """See ``Link``."""
        return count * self._byte_ms

    def _set_up(self, fd: int) -> None:
        """Raw bytes, nothing translated, no hardware flow control; what lay in the port before is thrown away."""
        control = termios.CS8 | termios.CREAD | termios.CLOCAL | _PARITY[self._parity]
        if self._stop_bits == 2:
            control |= termios.CSTOPB
        characters = termios.tcgetattr(fd)[6]
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        speed = _SPEED[self._baud]
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        termios.tcflush(fd, termios.TCIOFLUSH)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:  # the adapter was pulled out
            data = b""
        if data:
            self._take(data)
        else:
            self.close()


def _number_of(error: OSError | termios.error) -> int:
    number = error.errno if isinstance(error, OSError) else error.args[0]
    return number if isinstance(number, int) else 0


def _down_of(error: OSError | termios.error) -> Down:
    known = {
        errno.ENOENT: Down.NO_DEVICE,
        errno.ENODEV: Down.NO_DEVICE,
        errno.ENXIO: Down.NO_DEVICE,
        errno.EACCES: Down.NO_RIGHT,
        errno.EPERM: Down.NO_RIGHT,
        errno.EAGAIN: Down.IN_USE,
    }
    return known.get(_number_of(error), Down.OTHER)


def _reason_of(error: OSError | termios.error) -> str:
    number = _number_of(error)
    if number in (errno.EWOULDBLOCK, errno.EAGAIN):
        return "another program uses this port"
    if number == errno.ENOTTY:
        return "is no serial port"
    return os.strerror(number) if number else str(error)
