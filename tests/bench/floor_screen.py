"""The floor of a start: a bare prompt_toolkit full screen, the least such a program can do."""

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import BufferControl, HSplit, Layout, Window

keys = KeyBindings()


@keys.add("c-d")
def _(event):
    event.app.exit()


draft = Window(BufferControl(Buffer()), height=1, get_line_prefix=lambda *_: "› ")
body = HSplit([Window(), draft])
Application(Layout(body, focused_element=draft), key_bindings=keys, full_screen=True).run()
