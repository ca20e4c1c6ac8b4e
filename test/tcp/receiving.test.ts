import { describe, expect, it } from "vitest";
import { CONNECTED, play } from "./script.ts";

describe("acknowledgements", () => {
  it("leave at once for the first segments, and wait 40 ms and a tick in a conversation", () => {
    play(`${CONNECTED}
      < PSH ACK seq 1 ack 1 length 10
      > ACK ack 11
      read 10
      write 10
      > PSH ACK seq 1 ack 11 length 10
      < PSH ACK seq 11 ack 11 length 10
      > nothing
      +43ms
      > nothing
      +1ms
      > ACK seq 11 ack 21
    `);
  });

  it("travel with the answer", () => {
    play(`${CONNECTED}
      < PSH ACK seq 1 ack 1 length 10
      > ACK ack 11
      read 10
      write 10
      > PSH ACK seq 1 ack 11 length 10
      < PSH ACK seq 11 ack 11 length 10
      write 10
      > PSH ACK seq 11 ack 21 length 10
      < ACK seq 21 ack 21
    `);
  });

  it("leave at once for what comes early, with the blocks that are here", () => {
    play(
      `
      open
      > SYN sackOK
      < SYN ACK seq 0 ack 1 mss 1460 sackOK
      > ACK seq 1
      < ACK seq 1461 ack 1 length 1460
      > ACK ack 1 sack 1461-2921
      < ACK seq 4381 ack 1 length 1460
      > ACK ack 1 sack 4381-5841 sack 1461-2921
      < ACK seq 2921 ack 1 length 1460
      > ACK ack 1 sack 1461-5841
      < ACK seq 1461 ack 1 length 1460     # again (RFC 2883)
      > ACK ack 1 sack 1461-2921 sack 1461-5841
      < ACK seq 1 ack 1 length 1460
      > ACK ack 5841
      readable 5840
    `,
      { sack: true },
    );
  });
});

describe("the receive window", () => {
  it("shrinks by what is not read, to nothing, and opens when it is read", () => {
    const player = play(CONNECTED, { receiveBuffer: 8192 });
    const windows: number[] = [];
    for (let seq = 1; seq < 7000; seq += 1000) {
      player.perform(`< PSH ACK seq ${seq} ack 1 length 1000`);
      player.perform("+200ms");
      windows.push(Number(player.sent.splice(0).at(-1)!["win"]));
    }
    expect(windows).toEqual([...windows].sort((a, b) => b - a));
    expect(windows.at(-1)).toBe(0);
    player.perform("< PSH ACK seq 6001 ack 1 length 1000");
    player.perform("fate TCP_ZEROWINDOW");
    player.sent.length = 0;
    player.connection.read();
    expect(Number(player.sent.at(-1)!["win"])).toBeGreaterThan(1000);
  });
});
