// A video upscaled while it plays: frames that come faster than the GPU takes them are left out.

// Play a video. `show` takes two elements and the size of the result; `tell` is told the engine's name
// once, and then how many frames a second are shown. Lasts until `signal` ends it.
async function playVideo(video, job, look) {
  for (let { engines } = job; ; ) {
    try {
      return await playBy(engines, video, job, look);
    } catch (error) {
      if (!error.engine) throw error;
      engines = engines.slice(engines.indexOf(error.engine) + 1);
    }
  }
}

async function playBy(engines, video, { network }, { show, tell, signal }) {
  const [width, height] = [video.videoWidth, video.videoHeight];
  const [before, after] = [document.createElement("canvas"), document.createElement("canvas")];
  [before.width, before.height] = [width, height];
  describe(before, "The original video");
  describe(after, "The upscaled video");
  const context = before.getContext("2d", { alpha: false });
  const canvas = after.transferControlToOffscreen();
  const worker = startWorker(signal);
  const next = frames(video, signal);
  const times = []; // when the last frames were shown
  let held; // the frame that the worker has, which both sides show at the same time
  const send = async () => {
    const [own, other] = await next();
    held = own;
    worker.postMessage({ frame: other }, [other]);
  };
  try {
    worker.postMessage({ canvas, network, engines, size: [width, height] }, [canvas]);
    for await (const message of worker.messages) {
      if (message.ready) {
        show(before, after, network.r * width, network.r * height);
        tell({ engine: message.ready });
      } else {
        context.drawImage(held, 0, 0);
        held.close();
        times.push(performance.now());
      }
      if (times.length > 20) times.shift();
      if (times.length > 1) tell({ rate: (1000 * (times.length - 1)) / (times.at(-1) - times[0]) });
      send();
    }
  } finally {
    worker.terminate();
  }
}

// Return what waits for the video's next frame and returns it twice: for the page and the worker.
function frames(video, signal) {
  let [count, taken, wake] = [1, 0, () => {}]; // the first is there already
  const note = () => {
    count += 1;
    wake();
  };
  const follow = () => {
    if (signal.aborted) return;
    note();
    video.requestVideoFrameCallback(follow);
  };
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(follow);
  } else { // an older Firefox
    let last = -1;
    const look = () => {
      if (signal.aborted) return;
      if (video.currentTime !== last) note();
      last = video.currentTime;
      requestAnimationFrame(look);
    };
    look();
  }
  return async () => {
    for (;;) {
      while (taken === count) await new Promise((resolve) => (wake = resolve));
      taken = count;
      try {
        const frame = await createImageBitmap(video);
        return [frame, await createImageBitmap(frame)]; // twice from the video may be two frames
      } catch {
        // Between two frames, while it seeks, there may be none.
      }
    }
  };
}

// Return a video element that knows its size, for a file.
function openVideoFile(file) {
  const video = document.createElement("video");
  Object.assign(video, { playsInline: true, loop: true, preload: "auto" });
  video.src = URL.createObjectURL(file);
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => (video.videoWidth ? resolve(video) : video.onerror());
    video.onerror = () => reject(new Refused(`“${file.name}” is not a video that this browser can play.`));
  });
}
