import { describe, it } from "vitest";
import { CONNECTED, play } from "./script.ts";

describe("retransmission", () => {
  it("begins after 200 ms on a fast path, and doubles each time", () => {
    play(`${CONNECTED}
      write 10
      > PSH ACK seq 1 length 10
      +199ms
      > nothing
      +2ms
      > PSH ACK seq 1 length 10
      +400ms
      > PSH ACK seq 1 length 10
      +800ms
      > PSH ACK seq 1 length 10
      < ACK seq 1 ack 11
      +10s
    `);
  });

  it("gives up after 17 minutes", () => {
    play(`${CONNECTED}
      write 10
      > PSH ACK seq 1 length 10
      +17m
      > PSH ACK seq 1 length 10 again 16
      state ESTABLISHED
      +1m
      state CLOSE
      error ETIMEDOUT
    `);
  });

  it("counts the time that it has tried from the last loss, not from one that was made good", () => {
    play(
      `${CONNECTED}
      write 100
      write 100
      > PSH ACK seq 1 length 100
      > PSH ACK seq 101 length 100
      +201ms
      > PSH ACK seq 1 length 100
      write 100
      +390ms
      < ACK seq 1 ack 101
      > PSH ACK seq 101 length 100
      > PSH ACK seq 201 length 100
      +390ms
      < ACK seq 1 ack 201
      +420ms
      > PSH ACK seq 201 length 100
      +820ms
      > PSH ACK seq 201 length 100
      state ESTABLISHED
    `,
      { noDelay: true, retries: 2 },
    );
  });

  it("sends the first hole again after three duplicates, without SACK", () => {
    play(`${CONNECTED}
      write 14600
      > ACK seq 1 length 1460
      > ACK seq 1461 length 1460
      > ACK seq 2921 length 1460
      > ACK seq 4381 length 1460
      > ACK seq 5841 length 1460
      > ACK seq 7301 length 1460
      > ACK seq 8761 length 1460
      > ACK seq 10221 length 1460
      > ACK seq 11681 length 1460
      > PSH ACK seq 13141 length 1460
      < ACK seq 1 ack 1461
      < ACK seq 1 ack 1461
      < ACK seq 1 ack 1461
      > nothing
      < ACK seq 1 ack 1461
      > ACK seq 1461 length 1460
      < ACK seq 1 ack 5841              # a partial acknowledgement: the next hole (RFC 6582)
      > ACK seq 5841 length 1460
      < ACK seq 1 ack 14601
    `);
  });

  it("sends exactly the holes again, with SACK", () => {
    play(
      `
      open
      > SYN seq 0 sackOK
      < SYN ACK seq 0 ack 1 mss 1460 sackOK
      > ACK seq 1
      write 14600
      > ACK seq 1 length 1460
      > ACK seq 1461 length 1460
      > ACK seq 2921 length 1460
      > ACK seq 4381 length 1460
      > ACK seq 5841 length 1460
      > ACK seq 7301 length 1460
      > ACK seq 8761 length 1460
      > ACK seq 10221 length 1460
      > ACK seq 11681 length 1460
      > PSH ACK seq 13141 length 1460
      < ACK seq 1 ack 1461 sack 2921-4381
      < ACK seq 1 ack 1461 sack 2921-4381 sack 5841-7301
      < ACK seq 1 ack 1461 sack 2921-4381 sack 5841-8761
      > ACK seq 1461 length 1460
      < ACK seq 1 ack 1461 sack 2921-4381 sack 5841-11681
      > ACK seq 4381 length 1460
      < ACK seq 1 ack 14601
    `,
      { sack: true },
    );
  });

  it("cuts segments anew when the path got narrower", () => {
    play(`${CONNECTED}
      write 1460
      > PSH ACK seq 1 length 1460
      mtu 1040
      > ACK seq 1 length 1000
      > PSH ACK seq 1001 length 460
      < ACK seq 1 ack 1461
    `);
  });
});

describe("the window", () => {
  it("of the peer bounds what leaves", () => {
    play(`${CONNECTED}
      write 1000
      > PSH ACK seq 1 length 1000
      < ACK seq 1 ack 1001 win 3000
      write 5000
      > ACK seq 1001 length 1460
      > ACK seq 2461 length 1460
      > nothing
      < ACK seq 1 ack 3921 win 3000
      > ACK seq 3921 length 1460
      > PSH ACK seq 5381 length 620
      < ACK seq 1 ack 6001
    `);
  });

  it("when closed is probed, less and less often, until it opens", () => {
    play(`${CONNECTED}
      write 100
      > PSH ACK seq 1 length 100
      < ACK seq 1 ack 101 win 0
      write 100
      > nothing
      +202ms
      > ACK seq 100 length 0
      < ACK seq 1 ack 101 win 0
      +401ms
      > ACK seq 100 length 0
      < ACK seq 1 ack 101 win 0
      +801ms
      > ACK seq 100 length 0
      < ACK seq 1 ack 101 win 1000
      > PSH ACK seq 101 length 100
      < ACK seq 1 ack 201
    `);
  });

  it("too small for a segment is used when nothing else is under way", () => {
    play(`${CONNECTED}
      write 1000
      > PSH ACK seq 1 length 1000
      < ACK seq 1 ack 1001 win 500
      write 1000
      > nothing
      +202ms
      > PSH ACK seq 1001 length 500
      < ACK seq 1 ack 1501 win 1000
      > PSH ACK seq 1501 length 500
    `);
  });
});

describe("small writes", () => {
  it("wait for the one under way (Nagle)", () => {
    play(`${CONNECTED}
      write 10
      > PSH ACK seq 1 length 10
      write 10
      write 10
      > nothing
      < ACK seq 1 ack 11
      > PSH ACK seq 11 length 20
    `);
  });

  it("leave at once without Nagle", () => {
    play(
      `${CONNECTED}
      write 10
      > PSH ACK seq 1 length 10
      write 10
      > PSH ACK seq 11 length 10
    `,
      { noDelay: true },
    );
  });
});

describe("a long write", () => {
  const gso = { gso: true };

  it("leaves in runs of half the congestion window, each of which ends with PSH", () => {
    play(
      `${CONNECTED}
      write 20000
      > PSH ACK seq 1 length 7300 run 1460
      > PSH ACK seq 7301 length 7300 run 1460
      > nothing
      < ACK seq 1 ack 7301
      > PSH ACK seq 14601 length 5400 run 1460
    `,
      gso,
    );
  });

  it("waits until more than a third of the window is free", () => {
    play(
      `${CONNECTED}
      write 20000
      > PSH ACK seq 1 length 7300
      > PSH ACK seq 7301 length 7300
      < ACK seq 1 ack 1461
      > nothing
      < ACK seq 1 ack 2921
      > PSH ACK seq 14601 length 5400
    `,
      gso,
    );
  });

  it("has no more than half of the peer's window in one packet", () => {
    play(
      `${CONNECTED.replace("mss 1460\n  > ACK", "win 6000 mss 1460\n  > ACK")}
      write 6000
      > PSH ACK seq 1 length 2920 run 1460
      > PSH ACK seq 2921 length 2920 run 1460
      > PSH ACK seq 5841 length 160
    `,
      gso,
    );
  });

  it("leaves segment by segment from who cannot have it cut", () => {
    play(`${CONNECTED}
      write 4000
      > ACK seq 1 length 1460
      > ACK seq 1461 length 1460
      > PSH ACK seq 2921 length 1080
    `);
  });
});

describe("what cannot leave this host", () => {
  it("waits, and leaves together with what is written meanwhile", () => {
    play(`${CONNECTED}
      block
      write 10
      write 10
      unblock
      close
      > FIN PSH ACK seq 1 length 20
    `);
  });

  it("is tried again by the probe timer", () => {
    play(`${CONNECTED}
      block
      write 10
      unblock
      +199ms
      > nothing
      +2ms
      > PSH ACK seq 1 length 10
    `);
  });

  it("is sent again by the retransmission timer if it once left", () => {
    play(`${CONNECTED}
      write 10
      > PSH ACK seq 1 length 10
      block
      +1500ms
      unblock
      +2500ms
      > PSH ACK seq 1 length 10
    `);
  });
});

describe("keep-alive", () => {
  it("probes an idle peer, and resets one that is gone", () => {
    play(
      `${CONNECTED}
      +10s
      > ACK seq 0 length 0
      < ACK seq 1 ack 1
      +10s
      > ACK seq 0 length 0
      +1s
      > ACK seq 0 length 0
      +1s
      > RST ACK seq 1
      error ETIMEDOUT
    `,
      { keepAlive: { idle: 10e9, interval: 1e9, probes: 2 } },
    );
  });
});
