"""A TCP proxy between two parties that delays, cuts one way or both, refuses and resets."""
import asyncio
import socket
import struct
import threading

from .places import free_port


class FaultProxy:
    """Listens on `port` and forwards to `target`. Directions: "there" is towards the target, "back" from it.

    Runs its own event loop in a thread; every method is called from any other thread and is done when it returns.
    """

    name = "fault-proxy"

    def __init__(self, target_port, target_host="127.0.0.1", host="127.0.0.1"):
        self.target = (target_host, target_port)
        self.host, self.port = host, free_port()
        self.delays = {"there": 0.0, "back": 0.0}
        self.bytes = {"there": 0, "back": 0}
        self.connections = 0
        self._open = set()
        self._server = None
        self._loop = asyncio.new_event_loop()
        self._flowing = {}
        self._thread = threading.Thread(target=self._run, name=f"fault-proxy-{self.port}", daemon=True)

    # Life.
    def start(self):
        self._thread.start()
        self._do(self._begin())
        return self

    def end(self):
        if self._thread.is_alive():
            self._do(self._finish())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    stop = end

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    # Faults.
    def delay(self, seconds, way="both"):
        """Every chunk from now on arrives `seconds` later; throughput is not limited."""
        for direction in directions(way):
            self.delays[direction] = seconds

    def cut(self, way="both"):
        """Nothing passes any more, not even the end of a stream; nobody is told (a pulled cable)."""
        self._do(self._set_flow(way, False))

    def heal(self, way="both"):
        self._do(self._set_flow(way, True))

    def refuse(self):
        """New connections are refused; those that are open go on."""
        self._do(self._close_listener())

    def accept(self):
        self._do(self._listen())

    def reset(self):
        """Every open connection ends with RST on both sides."""
        self._do(self._abort_all())

    # Inside the loop.
    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _begin(self):
        self._flowing = {"there": asyncio.Event(), "back": asyncio.Event()}
        for event in self._flowing.values():
            event.set()
        await self._listen()

    async def _listen(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, self.host, self.port, backlog=512)

    async def _close_listener(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _finish(self):
        await self._close_listener()
        await self._abort_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _set_flow(self, way, flowing):
        for direction in directions(way):
            event = self._flowing[direction]
            event.set() if flowing else event.clear()

    async def _abort_all(self):
        for writer in list(self._open):
            abort(writer)

    async def _accepted(self, reader, writer):
        self.connections += 1
        self._open.add(writer)
        target = None
        try:
            await self._flowing["there"].wait()  # a cut line gives no answer to a new connection either
            target_reader, target = await asyncio.open_connection(*self.target)
            self._open.add(target)
            await asyncio.gather(self._pump("there", reader, target), self._pump("back", target_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            abort(writer)
        finally:
            for side in (writer, target):
                if side is not None:
                    self._open.discard(side)
                    side.close()

    async def _pump(self, direction, reader, writer):
        """Bytes one way, in order, each chunk `delay` after it came; then the end of the stream."""
        loop = asyncio.get_running_loop()
        chunks = asyncio.Queue(64)

        async def receive():
            while True:
                data = await reader.read(1 << 16)
                await chunks.put((loop.time() + self.delays[direction], data))
                if not data:
                    return

        receiving = asyncio.ensure_future(receive())
        try:
            while True:
                # A reset while the queue is empty must end this pump too.
                getting = asyncio.ensure_future(chunks.get())
                done, _ = await asyncio.wait({getting, receiving}, return_when=asyncio.FIRST_COMPLETED)
                if getting not in done and receiving.exception() is not None:
                    getting.cancel()
                    raise receiving.exception()
                due, data = await getting
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._flowing[direction].wait()
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                self.bytes[direction] += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            receiving.cancel()


def directions(way):
    return ("there", "back") if way == "both" else (way,)


def abort(writer):
    """Ends a connection with RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()
