/** Who is asking, after verification. */
export type Caller =
  /** A signed-in person: `userId` is the verified `sub`, `jwt` their verified access token. */
  | { kind: "user"; userId: string; jwt: string; isAnonymous: boolean }
  /** A server: `key` is the name of the secret key it holds (`cron` is the scheduler's). */
  | { kind: "service"; key: string };
