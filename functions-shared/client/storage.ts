/** `localStorage` where it works, else a stand-in that forgets when the page does. */
export function browserStorage(): Storage {
  try {
    const real = globalThis.localStorage;
    real.setItem("mira.probe", "1");
    real.removeItem("mira.probe");
    return real;
  } catch {
    return memoryStorage();
  }
}

/** A `Storage` in memory. */
export function memoryStorage(): Storage {
  const kept = new Map<string, string>();
  return {
    get length() {
      return kept.size;
    },
    key: (index) => [...kept.keys()][index] ?? null,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, String(value)),
    removeItem: (key) => void kept.delete(key),
    clear: () => kept.clear(),
  };
}
