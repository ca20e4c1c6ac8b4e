import { describe, it } from "vitest";
import { CONNECTED, play } from "./script.ts";

describe("opening", () => {
  it("connects with a SYN, and is established by the SYN-ACK", () => {
    play(`
      open
      state SYN_SENT
      > SYN seq 0 win 64240 mss 1460
      < SYN ACK seq 0 ack 1 mss 1460
      > ACK seq 1 ack 1 win 64240
      state ESTABLISHED
      events established
    `);
  });

  it("answers a SYN, and is established by the third segment", () => {
    play(`
      listen
      < SYN seq 0 mss 1460
      > SYN ACK seq 0 ack 1 win 64240 mss 1460
      state SYN_RECV
      < ACK seq 1 ack 1
      state ESTABLISHED
      events established
    `);
  });

  it("agrees on the options that both sides know", () => {
    const all = { timestamps: true, sack: true, windowScaling: true };
    play(
      `
      open
      > SYN seq 0 mss 1460 sackOK ts wscale 10
      < SYN ACK seq 0 ack 1 mss 1400 wscale 3
      > ACK seq 1 ack 1
      write 1400
      > PSH ACK seq 1 length 1400
    `,
      all,
    );
    play(
      `
      listen
      < SYN seq 0 mss 1460
      > SYN ACK seq 0 ack 1 mss 1460
      < ACK seq 1 ack 1
      `,
      all,
    );
  });

  it("opens from both sides at once", () => {
    play(`
      open
      > SYN seq 0
      < SYN seq 0 mss 1460
      > SYN ACK seq 0 ack 1 mss 1460
      state SYN_RECV
      < SYN ACK seq 0 ack 1
      state ESTABLISHED
      events established
      > ACK seq 1 ack 1
    `);
  });

  it("is refused by a RST that acknowledges its SYN", () => {
    play(`
      open
      > SYN seq 0
      < RST ACK seq 0 ack 1
      state CLOSE
      error ECONNREFUSED
      events failed ended
    `);
  });

  it("ignores a RST that acknowledges nothing", () => {
    play(`
      open
      > SYN seq 0
      < RST seq 0
      fate TCP_RESET
      state SYN_SENT
    `);
  });

  it("has a SYN-ACK for something else answered with a RST", () => {
    play(`
      open
      > SYN seq 0
      < SYN ACK seq 0 ack 99
      fate reset
      state SYN_SENT
      < ACK seq 7 ack 1
      fate TCP_FLAGS
    `);
  });

  it("sends the SYN again five seconds in a row, then ever later, and gives up after 131", () => {
    play(`
      open
      > SYN seq 0
      +999ms
      > nothing
      +1ms
      > SYN seq 0
      +1s
      > SYN seq 0
      +1s
      > SYN seq 0
      +1s
      > SYN seq 0
      +1s
      > SYN seq 0
      +2s
      > SYN seq 0
      +4s
      > SYN seq 0
      +8s
      > SYN seq 0
      +16s
      > SYN seq 0
      +32s
      > SYN seq 0
      +64s
      state CLOSE
      error ETIMEDOUT
    `);
  });

  it("sends the SYN-ACK again five times, and forgets the request after 63 seconds", () => {
    play(`
      listen
      < SYN seq 0
      > SYN ACK seq 0 ack 1
      +1s
      > SYN ACK seq 0 ack 1
      +2s
      > SYN ACK seq 0 ack 1
      +4s
      > SYN ACK seq 0 ack 1
      +8s
      > SYN ACK seq 0 ack 1
      +16s
      > SYN ACK seq 0 ack 1
      +32s
      state CLOSE
      events ended
    `);
  });

  it("answers the same SYN again, resets for a wrong acknowledgement and forgets after a RST", () => {
    play(`
      listen
      < SYN seq 0
      > SYN ACK seq 0 ack 1
      < SYN seq 0
      > SYN ACK seq 0 ack 1
      < ACK seq 1 ack 7
      fate reset
      state SYN_RECV
      < ACK seq 70000 ack 1 length 1
      > ACK seq 1 ack 1
      < RST seq 5
      fate TCP_RESET
      state SYN_RECV
      < RST seq 1
      state CLOSE
    `);
  });
});

describe("closing", () => {
  it("goes by FIN_WAIT1 and FIN_WAIT2 to TIME_WAIT, for 60 seconds", () => {
    play(`${CONNECTED}
      shutdown
      > FIN ACK seq 1 ack 1
      state FIN_WAIT1
      < ACK seq 1 ack 2
      state FIN_WAIT2
      < PSH ACK seq 1 ack 2 length 10
      > ACK seq 2 ack 11
      readable 10
      < FIN ACK seq 11 ack 2
      > ACK seq 2 ack 12
      state TIME_WAIT
      +59s
      state TIME_WAIT
      +1s
      state CLOSE
      events readable readable ended
    `);
  });

  it("goes by CLOSE_WAIT and LAST_ACK when the peer closes first", () => {
    play(`${CONNECTED}
      < FIN ACK seq 1 ack 1
      state CLOSE_WAIT
      events readable
      write 5
      > PSH ACK seq 1 ack 2 length 5
      close
      > FIN ACK seq 6 ack 2
      state LAST_ACK
      < ACK seq 2 ack 7
      state CLOSE
      events ended
    `);
  });

  it("goes by CLOSING when both sides close at once", () => {
    play(`${CONNECTED}
      shutdown
      > FIN ACK seq 1 ack 1
      < FIN ACK seq 1 ack 1
      > ACK seq 2 ack 2
      state CLOSING
      < ACK seq 2 ack 2
      state TIME_WAIT
      +60s
      state CLOSE
    `);
  });

  it("takes an acknowledgement and a FIN in one segment", () => {
    play(`${CONNECTED}
      shutdown
      > FIN ACK seq 1 ack 1
      < FIN ACK seq 1 ack 2
      > ACK seq 2 ack 2
      state TIME_WAIT
    `);
  });

  it("sends what was written before the FIN, which travels with the last byte", () => {
    play(`${CONNECTED}
      write 2000
      > ACK seq 1 length 1460
      > PSH ACK seq 1461 length 540
      write 100
      > nothing                        # Nagle: a short segment is under way
      close
      > FIN PSH ACK seq 2001 length 100
      < ACK seq 1 ack 2102
      state FIN_WAIT2
    `);
  });

  it("waits 60 seconds for the peer's FIN once nobody reads any more", () => {
    play(`${CONNECTED}
      close
      > FIN ACK seq 1
      < ACK seq 1 ack 2
      state FIN_WAIT2
      +60s
      state CLOSE
      events ended
    `);
  });

  it("resets a peer that sends data to a closed socket", () => {
    play(`${CONNECTED}
      close
      > FIN ACK seq 1
      < ACK seq 1 ack 2
      < PSH ACK seq 1 ack 2 length 10
      fate reset
      state CLOSE
    `);
  });

  it("is a RST when data was not read", () => {
    play(`${CONNECTED}
      < PSH ACK seq 1 ack 1 length 10
      > ACK seq 1 ack 11
      close
      > RST ACK seq 1 ack 11
      state CLOSE
    `);
  });

  it("is a RST on abort", () => {
    play(`${CONNECTED}
      abort
      > RST ACK seq 1 ack 1
      state CLOSE
      events ended
    `);
  });

  it("takes a FIN that came before the data in front of it", () => {
    play(`${CONNECTED}
      < FIN ACK seq 11 ack 1 length 5
      > ACK seq 1 ack 1
      state ESTABLISHED
      < ACK seq 1 ack 1 length 10
      > ACK seq 1 ack 17
      state CLOSE_WAIT
      readable 15
    `);
  });

  it("reads what came before a half close, and writes on", () => {
    play(`${CONNECTED}
      < FIN PSH ACK seq 1 ack 1 length 10
      +44ms
      > ACK seq 1 ack 12
      read 10
      write 10
      > PSH ACK seq 1 ack 12 length 10
      < ACK seq 12 ack 11
    `);
  });
});

describe("TIME_WAIT", () => {
  const WAITING = `${CONNECTED}
    shutdown
    > FIN ACK seq 1
    < FIN ACK seq 1 ack 2
    > ACK seq 2 ack 2
    state TIME_WAIT
  `;

  it("acknowledges the FIN again, and waits anew", () => {
    play(`${WAITING}
      +30s
      < FIN ACK seq 1 ack 2
      > ACK seq 2 ack 2
      +59s
      state TIME_WAIT
      +1s
      state CLOSE
    `);
  });

  it("ends by a RST in sequence, and not by another", () => {
    play(`${WAITING}
      < RST seq 7
      state TIME_WAIT
      < RST seq 2
      state CLOSE
    `);
  });

  it("lets a newer SYN begin anew, and acknowledges an older one", () => {
    play(`${WAITING}
      < SYN seq 1
      > ACK seq 2 ack 2
      < SYN seq 100
      fate reopen
    `);
  });
});
