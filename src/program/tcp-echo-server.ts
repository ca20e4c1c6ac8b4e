import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import type { Arguments } from "./command-line.ts";
import { describeData, formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { type ListenAt, listen } from "./tcp-listener.ts";

const NAME = "tcp-echo-server";

/** `tcp-echo-server [-b address] port`. @throws {InputError}. */
export function parseTcpEchoServer(words: Arguments): Program {
  const bind = words.option("b");
  const address = bind === null ? 0 : words.address(bind);
  const port = words.port(words.operand("the port to listen on"));
  words.finish();
  return tcpEchoServer({ address, port });
}

/** Sends everything back, and says whom it saw. */
export function tcpEchoServer(at: ListenAt): Program {
  return {
    name: NAME,
    serves: true,
    start: (environment) => listen(environment, NAME, at, (socket) => echo(environment, socket)),
  };
}

function echo({ say, tcp }: Environment, socket: TcpSocket): void {
  const from = formatEndpoint(socket.peer!);
  const stream = new Stream(socket);
  say(`from ${from}: connected`, tcp.cause);
  stream.onData = (data) => {
    say(`from ${from}: ${describeData(data)}`, tcp.cause);
    stream.write(data);
    if (!stream.drained) stream.pause();
  };
  stream.onDrain = () => stream.resume();
  stream.onEnd = () => {
    say(`from ${from}: closed`, tcp.cause);
    stream.close();
  };
  stream.onError = (errno) => say(`from ${from}: ${strerror(errno)}`, tcp.cause);
  stream.start();
}
