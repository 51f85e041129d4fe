"""The floor below the floor: a prompt painted by hand, each key echoed as it comes."""

import os
import termios

mode = termios.tcgetattr(0)
mode[3] &= ~(termios.ECHO | termios.ICANON)
termios.tcsetattr(0, termios.TCSANOW, mode)
os.write(1, "\x1b[?1049h\x1b[2J\x1b[24;1H› ".encode())
while b"\x04" not in (key := os.read(0, 64)):
    os.write(1, key)
