/** Bytes that own their buffer, spelled so that the hosted runtime's TypeScript reads it as well. */
export type Bytes = ReturnType<TextEncoder["encode"]>;
