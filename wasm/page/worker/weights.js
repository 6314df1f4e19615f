// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The files of a bundle. Weights are kept by the browser under the SHA-256 that the manifest states, and verified each time
// before they are used; a page that is not served by https or from this machine has no such store, and fetches them each time.
const STORE = "medsam-engine-weights";

// Past the browser's own cache, which would keep weights twice, and an old manifest beside new weights.
async function fetched(address) {
  const reply = await fetch(address, { cache: "no-store" }).catch(() => null);
  if (!reply?.ok) throw new Error(`${address}: got ${reply ? `HTTP ${reply.status}` : "no answer"}, expected the file of a bundle; serve bundle/ beside the page`);
  return new Uint8Array(await reply.arrayBuffer());
}

async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Every file that the manifest names with its hash, wherever it stands.
function weightsOf(part, found = new Map()) {
  if (part && typeof part === "object") {
    if (typeof part.file === "string" && /^[\w.-]+\.safetensors$/.test(part.file) && /^[0-9a-f]{64}$/.test(part.sha256)) found.set(part.file, part);
    for (const inner of Object.values(part)) weightsOf(inner, found);
  }
  return found;
}

// The kept file; null if there is none, or one that is damaged, which is dropped.
async function kept(store, key, hash) {
  const reply = await store.match(key);
  if (!reply) return null;
  const bytes = new Uint8Array(await reply.arrayBuffer());
  if ((await sha256(bytes)) === hash) return bytes;
  await store.delete(key);
  return null;
}

// `told` receives a sentence when something has to be fetched.
export async function bundleFiles(address, told) {
  const manifest = await fetched(new URL("manifest.json", address));
  const store = self.isSecureContext && self.caches ? await caches.open(STORE).catch(() => null) : null;
  const files = new Map([["manifest.json", manifest]]);
  let parsed;
  try { parsed = JSON.parse(new TextDecoder().decode(manifest)); } catch { throw new Error(`${address}manifest.json: got no JSON, expected the manifest of a bundle`); }
  const keys = new Set();
  for (const [name, { sha256: hash, bytes: size }] of weightsOf(parsed)) {
    const key = new URL(`${hash}.safetensors`, address).href; // a name in the store alone: nothing is asked there
    keys.add(key);
    let bytes = store && (await kept(store, key, hash).catch(() => null)); // a store that cannot be read is none
    if (!bytes) {
      told(`Fetching the model: ${name}, ${((size ?? 0) / 1e6).toFixed(0)} MB.${store ? " The browser keeps it." : ""}`);
      bytes = await fetched(new URL(name, address));
      if (self.crypto?.subtle && (await sha256(bytes)) !== hash) throw new Error(`${new URL(name, address)}: got other bytes than the manifest's SHA-256, expected the file of this bundle; reload, or fetch the bundle again`);
      // A full store is no reason not to go on.
      await store?.put(key, new Response(bytes)).catch(() => {});
    }
    files.set(name, bytes);
  }
  for (const { url } of (await store?.keys().catch(() => [])) ?? []) if (url.startsWith(address) && !keys.has(url)) await store.delete(url); // of an earlier bundle
  return files;
}
