import { describe, it } from "vitest";
import { CONNECTED, play } from "./script.ts";

describe("a RST", () => {
  it("ends the connection when it is exactly in sequence", () => {
    play(`${CONNECTED}
      < RST seq 1
      state CLOSE
      error ECONNRESET
      events failed ended
    `);
  });

  it("is challenged when it is elsewhere in the window (RFC 5961)", () => {
    play(`${CONNECTED}
      < RST seq 100
      fate TCP_RESET
      > ACK seq 1 ack 1
      state ESTABLISHED
    `);
  });

  it("is ignored out of the window", () => {
    play(`${CONNECTED}
      < RST seq 70000
      fate TCP_INVALID_SEQUENCE
      < RST seq 0
      > nothing
      state ESTABLISHED
    `);
  });

  it("after the peer's FIN is a broken pipe", () => {
    play(`${CONNECTED}
      < FIN ACK seq 1 ack 1
      < RST seq 2
      error EPIPE
    `);
  });

  it("after the peer's FIN may bear the FIN's own number", () => {
    play(`${CONNECTED}
      < FIN ACK seq 1 ack 1
      +40ms
      > ACK seq 1 ack 2
      < RST seq 1
      state CLOSE
    `);
  });
});

describe("a segment that does not fit", () => {
  it("a SYN is challenged, twice a second at most", () => {
    play(`${CONNECTED}
      < SYN seq 50
      fate TCP_INVALID_SYN
      > ACK seq 1 ack 1
      < SYN seq 50
      > nothing
      +500ms
      < SYN seq 50
      > ACK seq 1 ack 1
    `);
  });

  it("data that is here already is acknowledged at once", () => {
    play(`${CONNECTED}
      < PSH ACK seq 1 ack 1 length 10
      > ACK ack 11
      < PSH ACK seq 1 ack 1 length 10
      fate TCP_OLD_DATA
      > ACK ack 11
    `);
  });

  it("data behind the window is acknowledged and dropped", () => {
    play(`${CONNECTED}
      < PSH ACK seq 70000 ack 1 length 10
      fate TCP_INVALID_SEQUENCE
      > ACK ack 1
    `);
  });

  it("an acknowledgement of what was never sent is dropped", () => {
    play(`${CONNECTED}
      < ACK seq 1 ack 100
      fate TCP_ACK_UNSENT_DATA
      > nothing
    `);
  });

  it("an acknowledgement long past is challenged", () => {
    play(`${CONNECTED}
      < ACK seq 1 ack -70000
      fate TCP_TOO_OLD_ACK
      > ACK seq 1 ack 1
    `);
  });

  it("without an acknowledgement is dropped", () => {
    play(`${CONNECTED}
      < PSH seq 1 length 10
      fate TCP_FLAGS
    `);
  });

  it("with a timestamp older than the last is acknowledged and dropped (RFC 7323)", () => {
    play(
      `
      open
      > SYN seq 0 ts
      < SYN ACK seq 0 ack 1 ts 1000
      > ACK seq 1 ack 1 ts
      < PSH ACK seq 1 ack 1 length 10 ts 1001
      > ACK ack 11 ts
      < PSH ACK seq 11 ack 1 length 10 ts 900
      fate TCP_RFC7323_PAWS
      > ACK ack 11
    `,
      { timestamps: true },
    );
  });
});
