// Keeps a WebSocket to the monitor: reconnects when it is lost, and requests the next message when the last one was shown.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export class Link {
  // onCars(state, pictures) may return a promise; the next message is requested when it is fulfilled.
  constructor({ onCars, onText, onOpen, onLost }) {
    this.handlers = { onCars, onText, onOpen, onLost };
    this.waitMs = FIRST_WAIT_MS;
    this.open();
  }

  open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.waitMs = FIRST_WAIT_MS;
      this.handlers.onOpen();
      socket.send("next");
    });
    socket.addEventListener("message", async (event) => {
      if (typeof event.data === "string") {
        this.handlers.onText(JSON.parse(event.data));
        return;
      }
      const { state, pictures } = decode(event.data);
      await this.handlers.onCars(state, pictures);
      if (socket.readyState === WebSocket.OPEN) socket.send("next");
    });
    socket.addEventListener("close", () => {
      this.handlers.onLost();
      setTimeout(() => this.open(), this.waitMs);
      this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
    });
  }
}

// Decodes a message about the cars; robotini_ray/monitor/hub.py describes the layout.
export function decode(buffer) {
  const view = new DataView(buffer);
  const text = new TextDecoder();
  let place = 0;
  const readJson = () => {
    const size = view.getUint32(place, true);
    const json = JSON.parse(text.decode(new Uint8Array(buffer, place + 4, size)));
    place += 4 + size;
    return json;
  };
  const state = readJson();
  const pictures = new Map();
  for (const [key, size] of readJson()) {
    pictures.set(key, new Uint8Array(buffer, place, size));
    place += size;
  }
  return { state, pictures };
}
