/**
 * Which IP addresses belong to the public internet.
 *
 * @module
 */

/** Blocks that are not globally reachable (IANA special-purpose registries), and multicast. */
const REFUSED_V4: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

/**
 * True when `address` is a global unicast address. IPv6 must lie in 2000::/3 and outside its
 * special blocks; addresses that carry an IPv4 one (mapped, NAT64, 6to4, Teredo) are refused,
 * because what they reach is decided elsewhere.
 */
export function isGlobalAddress(address: string): boolean {
  const v4 = parseV4(address);
  if (v4 !== undefined) {
    return !REFUSED_V4.some(([base, bits]) => sameBlock(v4, parseV4(base)!, bits));
  }
  const v6 = parseV6(address);
  if (!v6) return false;
  const [a = 0, b = 0] = v6;
  if ((a & 0xe000) !== 0x2000) return false;
  if (a === 0x2001 && (b < 0x0200 || b === 0x0db8)) return false;
  return a !== 0x2002 && !(a === 0x3fff && b < 0x1000);
}

function parseV4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) < 256)) return;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

function sameBlock(a: number, b: number, bits: number): boolean {
  const size = 2 ** (32 - bits);
  return Math.floor(a / size) === Math.floor(b / size);
}

function parseV6(text: string): number[] | undefined {
  if (!text.includes(":") || !/^[0-9a-f:]+$/i.test(text)) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string) => half === "" ? [] : half.split(":");
  const left = groups(halves[0]!), right = groups(halves[1] ?? "");
  const gap = 8 - left.length - right.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined;
  const all = [...left, ...Array<string>(Math.max(gap, 0)).fill("0"), ...right];
  return all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? all.map((group) => parseInt(group, 16))
    : undefined;
}
