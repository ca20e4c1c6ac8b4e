import { formatIpv4 } from "../../../wire/address.ts";
import type { Given, MatchKind, OptionSpec, Options } from "../extension.ts";
import { formatProtocol, readProtocol } from "../protocol-name.ts";
import type { Match } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { type Network, prefixLength, printOption, readInteger, readNetwork } from "../value.ts";

/** What one transform of an IPsec policy must be, in the order of printing. */
const ELEMENT = ["reqid", "spi", "proto", "mode", "tunnel-dst", "tunnel-src"] as const;
type Part = (typeof ELEMENT)[number];
const LAST = 0xffffffff;
const TRANSFORMS = [50, 51, 108];
const MOST_ELEMENTS = 4;

/** `policy_mt()` of xt_policy.c. There is no IPsec here, so no packet has or meets a policy. */
class PolicyMatch implements Match {
  readonly name = "policy";

  constructor(
    private readonly none: boolean,
    private readonly text: string,
  ) {}

  matches(): boolean {
    return this.none;
  }

  print(): string {
    return this.text;
  }
}

function printElement(element: readonly Given[]): string {
  const words: string[] = [];
  const mode = element.find((given) => given.spec.name === "mode")?.values[0];
  for (const name of ELEMENT) {
    const given = element.find((other) => other.spec.name === name);
    if (given === undefined) continue;
    if (name.startsWith("tunnel") && mode?.text !== "tunnel")
      throw unexpected(given.token, `--mode tunnel beside --${name}`);
    words.push(printOption(name, formatPart(name, given.values[0]!), given.not));
  }
  return words.join(" ");
}

function formatPart(name: Part, token: Token): string {
  switch (name) {
    case "reqid":
      return `${readInteger(token, 0, LAST, "a request id")}`;
    case "spi":
      return `0x${readInteger(token, 0, LAST, "an SPI").toString(16)}`;
    case "proto": {
      const protocol = readProtocol(token);
      if (!TRANSFORMS.includes(protocol)) throw unexpected(token, "ah, esp or ipcomp");
      return formatProtocol(protocol);
    }
    case "mode":
      if (token.text !== "transport" && token.text !== "tunnel") throw unexpected(token, "transport or tunnel");
      return token.text;
    default:
      return formatTunnel(readNetwork(token));
  }
}

function formatTunnel({ address, mask }: Network): string {
  const length = prefixLength(mask);
  return formatIpv4(address & mask) + (length === 32 || length < 0 ? "" : `/${length}`);
}

/** The options between one `--next` and the other. */
function elements(options: Options): Given[][] {
  const found: Given[][] = [[]];
  for (const given of options.all) {
    if (given.spec.name === "next") found.push([]);
    else if ((ELEMENT as readonly string[]).includes(given.spec.name)) {
      const element = found.at(-1)!;
      if (element.some((other) => other.spec === given.spec))
        throw unexpected(given.token, `--${given.spec.name} once before --next`);
      element.push(given);
    }
  }
  return found;
}

const repeated: readonly OptionSpec[] = ELEMENT.map((name) => ({ name, not: true, repeats: true }));

export const policyKind: MatchKind = {
  name: "policy",
  options: [
    { name: "dir" },
    { name: "pol" },
    { name: "strict", values: 0 },
    { name: "next", values: 0, repeats: true },
    ...repeated,
  ],
  parse(options) {
    const dir = options.need("dir").values[0]!;
    if (dir.text !== "in" && dir.text !== "out") throw unexpected(dir, "in or out");
    const policy = options.value("pol");
    if (policy !== null && policy.text !== "none" && policy.text !== "ipsec") throw unexpected(policy, "none or ipsec");
    options.limitBase(
      dir.text === "in" ? ["prerouting", "input", "forward"] : ["forward", "output", "postrouting"],
      dir,
    );
    const head = `--dir ${dir.text} --pol ${policy?.text ?? "ipsec"}`;
    if (policy?.text === "none") return new PolicyMatch(true, head);
    const strict = options.has("strict");
    const next = options.get("next");
    if (next !== null && !strict) throw unexpected(next.token, "--strict before --next");
    const found = elements(options).map(printElement);
    if (found.length > MOST_ELEMENTS) throw unexpected(next!.token, `at most ${MOST_ELEMENTS} elements`);
    if (strict && found.some((text) => text === "")) throw options.lacks("an element such as --proto esp for --strict");
    const tail = [head, ...(strict ? ["--strict"] : []), found.join(" --next ")];
    return new PolicyMatch(false, tail.join(" ").trimEnd());
  },
};
