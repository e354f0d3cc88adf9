// A headless Chromium for tests, led through its pipe: no port, no driver.
//   node browser.cjs unpack PACKAGE FOLDER           what the npm package @sparticuz/chromium brings
//   node browser.cjs ask FOLDER URL SCRIPT           the value of a script's last expression in a page, as JSON
"use strict";
const fs = require("node:fs"), path = require("node:path"), zlib = require("node:zlib"), child = require("node:child_process");

function unpack(from, to) {
  for (const name of ["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"])
    fs.writeFileSync(path.join(to, name), zlib.brotliDecompressSync(fs.readFileSync(path.join(from, "bin", name + ".br"))));
  for (const name of ["al2023", "fonts"]) {
    fs.mkdirSync(path.join(to, name));
    child.execFileSync("tar", ["-xf", path.join(to, name + ".tar"), "-C", path.join(to, name)]);
  }
  child.execFileSync("tar", ["-xf", path.join(to, "swiftshader.tar"), "-C", to]); // beside the program, where it looks
  fs.chmodSync(path.join(to, "chromium"), 0o700);
}

async function ask(folder, url, script) {
  const profile = fs.mkdtempSync(path.join(require("node:os").tmpdir(), "chromium-"));
  const fonts = path.join(profile, "fonts.conf"); // with letters of some width, so that what is too wide is seen
  fs.writeFileSync(fonts, `<fontconfig><dir>${path.join(folder, "fonts")}</dir><cachedir>${profile}/fonts</cachedir></fontconfig>`);
  const chrome = child.spawn(path.join(folder, "chromium"), [
    "--headless=shell", "--no-sandbox", "--no-zygote", "--single-process", "--in-process-gpu", "--disable-webgl",
    "--disable-dev-shm-usage", `--user-data-dir=${profile}`, "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
  ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { ...process.env, LD_LIBRARY_PATH: path.join(folder, "al2023", "lib"), FONTCONFIG_FILE: fonts } });
  const waiting = new Map(), events = [];
  let next = 1, buffer = "", loaded;
  const ready = new Promise(done => { loaded = done; });
  chrome.stdio[4].setEncoding("utf8").on("data", text => {
    buffer += text;
    for (let at; (at = buffer.indexOf("\0")) >= 0; buffer = buffer.slice(at + 1)) {
      const message = JSON.parse(buffer.slice(0, at));
      if (message.id) { waiting.get(message.id)(message); waiting.delete(message.id); } else events.push(message);
      if (message.method === "Page.loadEventFired") loaded();
    }
  });
  const send = (method, params = {}, sessionId) => new Promise((done, fail) => {
    waiting.set(next, message => message.error ? fail(Error(message.error.message)) : done(message.result));
    chrome.stdio[3].write(JSON.stringify({ id: next++, method, params, sessionId }) + "\0");
  });
  try {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    for (const name of ["Page", "Runtime", "Network", "Log"]) await send(`${name}.enable`, {}, sessionId);
    await send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 }, sessionId);
    await send("Emulation.setDeviceMetricsOverride", { width: 360, height: 740, deviceScaleFactor: 2, mobile: true }, sessionId);
    await send("Page.navigate", { url }, sessionId);
    await ready;
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression: script, awaitPromise: true, returnByValue: true }, sessionId);
    if (exceptionDetails) throw Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    const asked = events.filter(event => event.method === "Network.requestWillBeSent").map(event => event.params.request.url);
    const thrown = events.filter(event => event.method === "Runtime.exceptionThrown").map(event => event.params.exceptionDetails.exception?.description);
    return { value: result.value, asked, thrown };
  } finally {
    chrome.kill("SIGKILL");
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const [what, ...words] = process.argv.slice(2);
if (what === "unpack") unpack(...words);
else ask(words[0], words[1], fs.readFileSync(words[2], "utf8")).then(found => { console.log(JSON.stringify(found)); process.exit(0); },
  error => { console.error(error.stack); process.exit(1); });
