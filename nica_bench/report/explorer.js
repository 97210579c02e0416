"use strict";
// The explorer: a trained flow's inverse, run here, from codes to pixels. Operations: nica_bench/program.py.
(() => {
  // Plain loops: there are millions of numbers, and a call for each would take a second.
  function bytesOf(text) {
    const characters = atob(text), bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }

  const floatsOf = (text) => new Float32Array(bytesOf(text).buffer);

  // IEEE half precision: a sign, 5 bits of exponent and 10 of mantissa, by a table of all of them.
  function halvesOf(text) {
    const table = new Float32Array(65536);
    for (let i = 0; i < 65536; i++) {
      const exponent = (i >> 10) & 31, mantissa = i & 1023;
      const size = exponent === 0 ? mantissa * 2 ** -24
        : exponent === 31 ? (mantissa ? NaN : Infinity) : (1024 + mantissa) * 2 ** (exponent - 25);
      table[i] = i >> 15 ? -size : size;
    }
    const halves = new Uint16Array(bytesOf(text).buffer), floats = new Float32Array(halves.length);
    for (let i = 0; i < floats.length; i++) floats[i] = table[halves[i]];
    return floats;
  }

  const CLAMPS = { atan: Math.atan, tanh: Math.tanh };

  function full(layer, weights, x) {
    const bias = layer.at + layer.out * layer.in;
    const y = weights.slice(bias, bias + layer.out);
    for (let o = 0, w = layer.at; o < layer.out; o++) {
      let sum = 0;
      for (let i = 0; i < layer.in; i++) sum += weights[w++] * x[i];
      y[o] += sum;
    }
    return y;
  }

  function convolution(layer, weights, x, height, width) {
    const positions = height * width, reach = (layer.kernel - 1) / 2;
    const y = new Float32Array(layer.out * positions);
    let w = layer.at;
    const bias = w + layer.out * layer.in * layer.kernel * layer.kernel;
    for (let o = 0; o < layer.out; o++) {
      const to = o * positions;
      y.fill(weights[bias + o], to, to + positions);
      for (let i = 0; i < layer.in; i++) {
        for (let dy = -reach; dy <= reach; dy++) {
          const top = Math.max(0, -dy), bottom = Math.min(height, height - dy);
          for (let dx = -reach; dx <= reach; dx++) {
            const weight = weights[w++], left = Math.max(0, -dx), right = Math.min(width, width - dx);
            for (let row = top; row < bottom; row++) {
              const from = i * positions + (row + dy) * width + dx;
              for (let column = left; column < right; column++) {
                y[to + row * width + column] += weight * x[from + column];
              }
            }
          }
        }
      }
    }
    return y;
  }

  function subnet(operation, weights, x) {
    const [height, width] = operation.side, last = operation.layers.length - 1;
    operation.layers.forEach((layer, index) => {
      x = layer.kernel ? convolution(layer, weights, x, height, width) : full(layer, weights, x);
      if (index < last) for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
    });
    return x;
  }

  const OPERATIONS = {
    gather(operation, weights, x) {
      const { order } = operation, size = x.length / order.length, y = new Float32Array(x.length);
      for (let i = 0; i < order.length; i++) {
        for (let j = 0; j < size; j++) y[i * size + j] = x[order[i] * size + j];
      }
      return y;
    },
    undo(operation, weights, x) {
      const output = subnet(operation, weights, x.subarray(...operation.given));
      const y = x.slice(), moved = y.subarray(...operation.moved), n = moved.length;
      if (!operation.clamp) {
        for (let i = 0; i < n; i++) moved[i] -= output[i];
        return y;
      }
      const scale = output.subarray(0, n).map(CLAMPS[operation.clamp]);
      const positions = operation.side[0] * operation.side[1], channels = n / positions;
      for (let p = 0; p < positions; p++) {
        let mean = 0;
        if (operation.centred) for (let i = p; i < n; i += positions) mean += scale[i] / channels;
        for (let i = p; i < n; i += positions) {
          moved[i] = (moved[i] - output[n + i]) * Math.exp(-operation.factor * (scale[i] - mean));
        }
      }
      return y;
    },
  };

  // Args: codes, D numbers. Returns: the pixels, D numbers, not cut to [0, 1].
  const decoder = (operations, weights) => (codes) =>
    operations.reduce((x, operation) => OPERATIONS[operation.op](operation, weights, x), Float32Array.from(codes));

  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

  // What is shown is a class and `moved`: how far each code is from the class mean, in the class' own std.
  function explore(root) {
    const model = JSON.parse(root.querySelector("script").textContent);
    const size = model.side * model.side;
    const decode = decoder(model.operations, halvesOf(model.weights));
    const means = floatsOf(model.means), sds = floatsOf(model.sds), examples = floatsOf(model.examples);
    const canvas = root.querySelector("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
    const says = root.querySelector(".explorer-says"), start = root.querySelector("select");
    const classes = [...root.querySelectorAll("input[type=radio]")];
    const sliders = [...root.querySelectorAll(".explorer-sliders input")];
    const temperature = root.querySelector(".explorer-temperature input");
    const image = context.createImageData(model.side, model.side);
    const moved = new Float32Array(size);
    let label = 0, waiting = false, pixels = null;

    const codes = () => moved.map((sd, j) => means[label * size + j] + sd * sds[label * size + j]);

    function draw() {
      pixels = decode(codes());
      pixels.forEach((value, i) => {
        const grey = Math.round(255 * Math.min(1, Math.max(0, value)));
        image.data.set([grey, grey, grey, 255], 4 * i);
      });
      context.putImageData(image, 0, 0);
    }
    // Moving a slider asks more often than the screen is drawn.
    function later() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw();
      });
    }
    function write(slider, value) {
      slider.nextElementSibling.textContent = signed(value);
      slider.setAttribute("aria-valuetext", `${signed(value)} std`);
    }
    // Sliders end at 3 std; an image may lie further out, and stays there until its slider is moved.
    function show(text) {
      classes[label].checked = true;
      sliders.forEach((slider, rank) => {
        slider.value = moved[model.order[rank]];
        write(slider, moved[model.order[rank]]);
      });
      says.textContent = text;
      canvas.setAttribute("aria-label", `The decoded image: ${text}`);
      later();
    }
    function begin(which) {
      moved.fill(0);
      start.value = which;
      if (which === "") return show(`class ${label}, at its mean`);
      label = model.labels[which];
      for (let j = 0; j < size; j++) {
        const sd = sds[label * size + j];
        moved[j] = sd > 0 ? (examples[which * size + j] - means[label * size + j]) / sd : 0;
      }
      return show(start.selectedOptions[0].textContent);
    }

    sliders.forEach((slider, rank) => slider.addEventListener("input", () => {
      moved[model.order[rank]] = slider.valueAsNumber;
      write(slider, slider.valueAsNumber);
      const text = `class ${label}, moved by hand`;
      says.textContent = text;
      canvas.setAttribute("aria-label", `The decoded image: ${text}`);
      later();
    }));
    classes.forEach((choice, index) => choice.addEventListener("change", () => {
      label = index;
      show(moved.some((sd) => sd !== 0) ? `class ${label}, as far from its mean as before` : `class ${label}, at its mean`);
    }));
    start.addEventListener("change", () => begin(start.value));
    temperature.addEventListener("input", () => {
      temperature.nextElementSibling.textContent = temperature.valueAsNumber.toFixed(2);
    });
    root.querySelector("[data-do=reset]").addEventListener("click", () => begin(""));
    root.querySelector("[data-do=random]").addEventListener("click", () => {
      moved.fill(0);
      start.value = "";
      sliders.forEach((_, rank) => { moved[model.order[rank]] = temperature.valueAsNumber * normal(); });
      show(`class ${label}, drawn at temperature ${temperature.valueAsNumber.toFixed(2)}`);
    });
    begin("");
    draw();
    root.classList.add("ready");
    return { decode, codes, draw, pixels: () => pixels };
  }

  // From the console: nicaBench.explorers[0].decode(codes) gives the pixels of any codes.
  globalThis.nicaBench = { explorers: [...document.querySelectorAll(".explorer")].map(explore) };
})();
