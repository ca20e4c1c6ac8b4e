import { describe, expect, it } from "vitest";
import { PROGRAMS, parseCommand } from "../../src/program/commands.ts";
import { InputError } from "../../src/wire/input-error.ts";

const PLACE = { file: "x.yaml", line: 7, column: 12 };

function refusal(command: string): string {
  try {
    parseCommand(command, PLACE);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error(`${command} was accepted`);
}

describe("a command line", () => {
  it.each([
    ["ping -c1 -i.5 10.0.0.1", 'x.yaml:7:23: found ".5", expected seconds such as 2 or 0.2'],
    ["pin 10.0.0.1", `x.yaml:7:12: found "pin", expected a program (${PROGRAMS.join(", ")})`],
    ["constructor", `x.yaml:7:12: found "constructor", expected a program (${PROGRAMS.join(", ")})`],
    [
      "ping -nq 10.0.0.1",
      'x.yaml:7:17: found "-nq", expected an option of ping that hopscope models (-c, -i, -W, -w, -s, -t, -M, -n)',
    ],
    ["ping -c", "x.yaml:7:19: found the end of the command, expected a value for -c"],
    ["ping -c 0 10.0.0.1", 'x.yaml:7:20: found "0", expected a number from 1 to 1000000'],
    ["ping -s 70000 10.0.0.1", 'x.yaml:7:20: found "70000", expected a number from 0 to 65507'],
    ["ping -M maybe 10.0.0.1", 'x.yaml:7:20: found "maybe", expected dont, want, do'],
    ["ping", "x.yaml:7:16: found the end of the command, expected the address to ping"],
    ["ping google..com", 'x.yaml:7:17: found "google..com", expected an IPv4 address or a name'],
    ["ping 10.0.0.256", 'x.yaml:7:17: found "10.0.0.256", expected an IPv4 address'],
    ["dig +sho a.b", 'x.yaml:7:16: found "+sho", expected +short, +tcp, +time=SECONDS, +tries=N or +retry=N'],
    ["dig", "x.yaml:7:15: found the end of the command, expected the name to ask for"],
    [
      "dns-server a=",
      'x.yaml:7:23: found "a=", expected a record such as web.example=10.0.0.2 or www.example=web.example',
    ],
    ["nslookup -timeout=x a", 'x.yaml:7:30: found "x", expected seconds such as 2 or 0.2'],
    ["nslookup -tim 2 a", 'x.yaml:7:21: found "-tim", expected an option of nslookup that hopscope models (-timeout)'],
    ["ping 10.0.0.1 10.0.0.2", 'x.yaml:7:26: found "10.0.0.2", expected the end of the command'],
    ["udp-echo-server 70000", 'x.yaml:7:28: found "70000", expected a port (1-65535)'],
    ["udp-client 10.0.0.1 53", "x.yaml:7:34: found the end of the command, expected the text to send"],
  ])("%s is refused where it is wrong", (command, message) => {
    expect(refusal(command)).toBe(message);
  });

  it("takes values behind or beside their letters, and letters together", () => {
    expect(parseCommand("traceroute -Inq1 -w 2 10.0.0.1", PLACE).name).toBe("traceroute");
  });

  it("knows which programs end", () => {
    expect(parseCommand("ping 10.0.0.1", PLACE).endless).toBe(true);
    expect(parseCommand("ping -w 5 10.0.0.1", PLACE).endless).toBe(false);
    expect(parseCommand("udp-echo-server 53", PLACE).serves).toBe(true);
  });
});
