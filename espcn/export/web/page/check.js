// With #check in the address, the page upscales a small picture by what needs no worker, and writes
// the results into its text: `export.py` compares them with PyTorch's before it writes the file.

async function check(network) {
  // A headless browser prints the page once it has loaded, and it has not while this is open.
  const open = document.body.appendChild(document.createElement("iframe"));
  open.contentDocument.open();
  const report = { version: navigator.userAgent.match(/Chrom\S+|Firefox\S+/)?.[0].replace("/", " ") };
  const tile = { ...testPicture(31, 22), x: 0, y: 0, w: 31, h: 22 };
  for (const name of ["plain", "webgl2"]) {
    try {
      const engine = await ENGINES[name].make(await network);
      report[name] = btoa(String.fromCharCode(...(await engine.run(tile))));
    } catch (error) {
      console.info(`${ENGINES[name].title} is not used: ${error.message}`);
    }
  }
  const shown = document.createElement("pre");
  shown.id = "check";
  shown.textContent = JSON.stringify(report);
  document.body.replaceChildren(shown);
}
