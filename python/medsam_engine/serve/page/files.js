// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files and folders, chosen or dropped; and files that the person keeps.
async function filesBelow(entry, found) {
  if (entry.isFile) return void found.push(await new Promise((done, failed) => entry.file(done, failed)));
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const inner of some) await filesBelow(inner, found);
  }
}

export function listenToFiles(page) {
  const { body } = document;
  const pick = (id) => {
    const input = document.getElementById(id);
    input.addEventListener("change", () => { if (input.files.length) page.upload([...input.files]); input.value = ""; });
    return () => input.click();
  };
  document.getElementById("open-files").addEventListener("click", pick("files"));
  document.getElementById("open-folder").addEventListener("click", pick("folder"));
  body.addEventListener("dragover", (event) => { event.preventDefault(); body.classList.add("dropping"); });
  body.addEventListener("dragleave", () => body.classList.remove("dropping"));
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    body.classList.remove("dropping");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    page.attempt(async () => {
      const found = [];
      for (const entry of entries) await filesBelow(entry, found);
      // A file that was dropped does not know its folder, as one that was chosen does.
      if (found.length) await page.upload(found, entries.length === 1 && entries[0].isDirectory ? entries[0].name : "");
    });
  });
}

export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
