/** Command-line tools that npm ships as binaries, kept outside the tree's history. */

const TOOLS = new URL("../../.mira/tools/", import.meta.url).pathname;

/** Path of `name`'s binary at exactly `version`, installed with npm the first time. */
export async function npmTool(name: string, version: string): Promise<string> {
  const folder = `${TOOLS}${name}@${version}`;
  const binary = `${folder}/node_modules/.bin/${name}`;
  if (await exists(binary)) return binary;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/package.json`, '{"private":true}');
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefix", folder, `${name}@${version}`],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(
      `npm could not install ${name}@${version}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  return binary;
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
