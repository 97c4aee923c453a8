// The page: what is chosen, dropped or pasted is upscaled and shown.

const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
const QUALITIES = [95, 90, 80, 70, 60, 50, 40, 30];
const VIDEOS = /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i;

const networks = readNetworks(DATA);
const viewer = new Viewer($("pane"));
let current = {}; // the file, what its header says, its video element, the result
let halt = new AbortController(); // ends what is being done

// Take a file: a picture or a video.
async function take(file) {
  if (!file) return;
  await begin(async (signal) => {
    if (current.video) {
      URL.revokeObjectURL(current.video.src);
      current.video.remove();
    }
    current = {}; // until this file is open
    const own = { file, header: await readHeader(file) };
    if (!file.type.startsWith("image/") && (file.type.startsWith("video/") || VIDEOS.test(file.name))) {
      own.video = await openVideoFile(file);
    }
    signal.throwIfAborted();
    current = own;
    if (own.video) $("video").append(own.video);
    await upscale(signal);
  });
}

// Do something instead of what is being done, which ends with its signal, and say in a sentence what
// went wrong.
async function begin(act) {
  halt.abort(new Stopped());
  const own = (halt = new AbortController());
  $("problem").textContent = $("status").textContent = "";
  try {
    await act(own.signal);
  } catch (error) {
    if (own !== halt || error instanceof Stopped) return;
    const said = error instanceof Refused ? error.message : `An error occurred: ${error.message}.`;
    $("problem").textContent = said;
    $("status").textContent = "";
    $("viewer").hidden = true;
  } finally {
    if (own === halt) $("work").hidden = true;
  }
}

async function upscale(signal) {
  const { file, video, header } = current;
  const r = $("factor").value;
  const { strength, found } = choice(r);
  const network = networkAt(await networks, r, strength, DATA.activation);
  signal.throwIfAborted();
  const job = { network, isGrey: Boolean(header.isGrey), engines: engines() };
  const known = `${file.name}: ${found}${DATA.levels ? `, ${named(strength)}` : ""}`;
  for (const id of ["play", "seek", "time", "rate", "mute"]) $(id).hidden = !video;
  $("download").hidden = true;
  if (video) {
    $("status").textContent = `${known}.`;
    watch(video);
    const tell = ({ engine, rate }) => {
      if (engine) $("status").textContent = `${known}; ${size()}, with ${engine}.`;
      else $("rate").textContent = `${rate.toFixed(0)} frames/s`;
    };
    await playVideo(video, job, { show, signal, tell });
    return;
  }
  $("work").hidden = false;
  $("progress").value = 0;
  $("status").textContent = `${known}.`;
  if (header.width && r * r * header.width * header.height > MOST) {
    throw new Refused(tooLarge(file.name, r, header)); // sooner than by decoding it
  }
  const progress = (part) => ($("progress").value = part);
  const { blob, seconds, engine } = await showPicture(file, job, { show, progress, signal });
  const took = `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  $("status").textContent = `${known}; ${size()}, in ${took} with ${engine}.`;
  offer(blob, `${file.name.replace(/\.[^.]*$/, "")}_x${r}.png`);
}

// Return what strength the settings ask for, and what is known of the file's compression.
function choice(r) {
  const { header, video, file } = current;
  const wanted = DATA.levels ? $("compression").value : "none";
  const [codec, quality] = [video ? "h264" : "jpeg", Number(wanted)];
  if (quality) {
    const number = video ? qualityQuantizer(DATA, quality) : quality;
    return { strength: strengthFor(DATA, r, codec, number), found: `as a JPEG of quality ${quality}` };
  }
  if (wanted === "auto" && video && Number.isFinite(video.duration)) {
    const pixels = video.videoWidth * video.videoHeight * video.duration * 25; // frames a second
    const number = bitsQuantizer((8 * file.size) / pixels);
    return { strength: strengthFor(DATA, r, codec, number), found: "a video, compression estimated from its size" };
  }
  if (wanted === "auto" && header.table) {
    const found = tableQuality(DATA, header.table);
    const strength = strengthFor(DATA, r, codec, found);
    return { strength, found: `a JPEG of quality ${Math.round(found)}` };
  }
  return { strength: CLEAN, found: video ? "a video" : "a picture" };
}

// Return the engines to try: those that the address names after #, say #plain, or all.
function engines() {
  const named = location.hash.slice(1).split(",").filter((name) => name in ENGINES);
  return named.length ? named : Object.keys(ENGINES);
}

const size = () => `${viewer.width} × ${viewer.height} pixels`;

function show(before, after, width, height) {
  $("viewer").hidden = false;
  document.body.classList.add("used");
  viewer.show(before, after, width, height);
}

function offer(blob, name) {
  const link = $("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
  const amount = blob.size < 1e6 ? `${Math.ceil(blob.size / 1e3)} kB` : `${(blob.size / 1e6).toFixed(1)} MB`;
  link.textContent = `Download PNG, ${amount}`;
  link.hidden = false;
}

// Connect the buttons to a video, and let it run, silently, since a page must not begin to speak.
function watch(video) {
  const clock = (t) => `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`;
  const tell = () => {
    $("play").textContent = video.paused ? "Play" : "Pause";
    $("mute").textContent = video.muted ? "Sound on" : "Sound off";
    $("seek").value = video.currentTime / video.duration || 0;
    $("time").textContent = `${clock(video.currentTime)} / ${clock(video.duration || 0)}`;
  };
  for (const event of ["play", "pause", "timeupdate", "volumechange"]) video[`on${event}`] = tell;
  $("play").onclick = () => (video.paused ? video.play() : video.pause());
  $("mute").onclick = () => (video.muted = !video.muted);
  $("seek").oninput = () => (video.currentTime = $("seek").value * video.duration);
  video.muted = true;
  $("rate").textContent = "";
  video.play().catch(() => {}); // refused by some browsers until the button is pressed
  tell();
}

function listen() {
  $("file").onchange = () => {
    take($("file").files[0]);
    $("file").value = ""; // or the same file could not be chosen again
  };
  for (const id of ["factor", "compression"]) {
    $(id).onchange = () => current.file && begin(upscale);
  }
  $("cancel").onclick = () => begin(async () => ($("viewer").hidden = true));
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  $("closer").onclick = () => viewer.zoom(1.5);
  $("farther").onclick = () => viewer.zoom(1 / 1.5);
  $("fit").onclick = () => viewer.fit();
  viewer.onzoom = (scale) => ($("zoom").textContent = `${Math.round(100 * scale)} %`);
}

function fill() {
  const factors = Object.keys(DATA.factors);
  $("factor").append(...factors.map((r) => new Option(`${r} times`, r)));
  const kinds = [["auto", "detected automatically"], ["none", "none"]];
  const qualities = QUALITIES.map((quality) => [quality, `as a JPEG of quality ${quality}`]);
  $("compression").append(...[...kinds, ...qualities].map(([value, text]) => new Option(text, value)));
  $("settings").hidden = factors.length === 1 && !DATA.levels;
}

fill();
listen();
if (location.hash === "#check") {
  const [r] = Object.keys(DATA.factors);
  check(networks.then((all) => networkAt(all, r, CLEAN, DATA.activation)));
}
