import { BASE_CHAINS, type Chain, type Hook, type Table } from "./rule.ts";
import type { ParsedRule } from "./rule-parser.ts";
import { kernelRefuses, unexpected } from "./tokenizer.ts";

/** The rules of each chain as they were read. */
export type ParsedChains = ReadonlyMap<Chain, readonly ParsedRule[]>;

/**
 * What only a whole table shows (`nf_tables_validate()`): chains that lead back to themselves, and extensions that are
 * reached from a hook where they cannot work.
 */
export function checkTable(table: Table, parsed: ParsedChains): void {
  const done = new Set<Chain>();
  for (const chain of table.chains.values()) checkLoops(chain, parsed, [], done);
  for (const name of BASE_CHAINS[table.name]) {
    const chain = table.chains.get(name);
    if (chain !== undefined) checkHook(chain, name.toLowerCase() as Hook, parsed, new Set());
  }
}

function checkLoops(chain: Chain, parsed: ParsedChains, path: readonly Chain[], done: Set<Chain>): void {
  if (done.has(chain)) return;
  const way = [...path, chain];
  for (const { rule, jump } of parsed.get(chain) ?? []) {
    if (rule.action.kind !== "chain") continue;
    if (way.includes(rule.action.chain))
      throw unexpected(
        jump!,
        "a chain that does not lead back to itself",
        kernelRefuses(jump!, chain.name, "Too many links"),
      );
    checkLoops(rule.action.chain, parsed, way, done);
  }
  done.add(chain);
}

function checkHook(chain: Chain, hook: Hook, parsed: ParsedChains, visited: Set<Chain>): void {
  if (visited.has(chain)) return;
  visited.add(chain);
  for (const { rule, limits } of parsed.get(chain) ?? []) {
    for (const { hooks, token, expected, direct } of limits)
      if (!hooks.includes(hook) && (!direct || chain.policy !== null))
        throw unexpected(token, expected, kernelRefuses(token, chain.name));
    if (rule.action.kind === "chain") checkHook(rule.action.chain, hook, parsed, visited);
  }
}
